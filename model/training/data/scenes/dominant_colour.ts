/** Finds the colour of a sprite, and which of its texels have it: these are replaced when it is recoloured. */

import { colourNear, hueAndChroma } from "./palette.ts";

/** The colour that a sprite has most of. */
export interface DominantColour {
  /** The place in the palette of the colour that it passes for; null if it is none of these. */
  readonly colour: number | null;
  /** Mean lightness of the texels that have it, 0 to 1: shades are relative to it. */
  readonly lightness: number;
  /** The share of the sprite that has it, 0 to 1. */
  readonly share: number;
}

/** Directions of hue that are told apart when looking for the most frequent one. */
const BINS = 36;
/** How much the neighbours of a bin count, the first and the second on each side. */
const NEIGHBOURS = [0.7, 0.3];
/** A sprite with less of a hue counts as black, white or grey if it has more of these. */
const CHROMATIC = 0.3;

/** Rises from 0 at `low` to 1 at `high`. */
function smooth(value: number, low: number, high: number): number {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return t * t * (3 - 2 * t);
}

/**
 * Analyses a sprite.
 *
 * @param rgba Texels with straight colours.
 * @param shares Receives for each texel how much it has of the colour, 0 to 255.
 */
export function dominantColour(rgba: Uint8Array, shares: Uint8Array): DominantColour {
  const texels = shares.length;
  const [hues, chromas, lights] = [0, 1, 2].map(() => new Float32Array(texels)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const bins = new Float64Array(BINS);
  let area = 0;
  for (let i = 0; i < texels; i++) {
    const coverage = rgba[4 * i + 3]! / 255;
    if (coverage === 0) continue;
    area += coverage;
    const [r, g, b] = [rgba[4 * i]! / 255, rgba[4 * i + 1]! / 255, rgba[4 * i + 2]! / 255];
    const { hue, chroma } = hueAndChroma([r, g, b]);
    hues[i] = hue;
    chromas[i] = chroma;
    lights[i] = 0.299 * r + 0.587 * g + 0.114 * b;
    if (coverage > 0.5) {
      bins[Math.min(BINS - 1, Math.floor(hue / 360 * BINS))]! += coverage * chroma;
    }
  }
  const main = mostFrequent(bins);
  const kinds = KINDS.map(() => new Float32Array(texels));
  const sums = KINDS.map(() => 0);
  for (let i = 0; i < texels; i++) {
    const coverage = rgba[4 * i + 3]! / 255;
    if (coverage === 0) continue;
    KINDS.forEach((kind, k) => {
      const share = kind(chromas[i]!, lights[i]!, angle(hues[i]!, main));
      kinds[k]![i] = share;
      sums[k]! += coverage * share;
    });
  }
  const [hued, pale, hueless] = sums.map((sum) => sum / Math.max(1, area)) as [
    number,
    number,
    number,
  ];
  const chosen = hued > CHROMATIC || hued > pale ? 0 : hueless > pale + 0.3 ? 2 : 1;
  const mean = [0, 0, 0]; // red, green, blue
  let lightness = 0;
  for (let i = 0; i < texels; i++) {
    const share = kinds[chosen]![i]!;
    shares[i] = Math.round(255 * share);
    const weight = share * rgba[4 * i + 3]! / 255;
    for (let c = 0; c < 3; c++) mean[c]! += weight * rgba[4 * i + c]! / 255;
    lightness += weight * lights[i]!;
  }
  const total = Math.max(1e-3, sums[chosen]!);
  const [r, g, b] = mean.map((sum) => sum / total) as [number, number, number];
  return {
    colour: colourNear([r, g, b]),
    lightness: lightness / total,
    share: sums[chosen]! / Math.max(1, area),
  };
}

/** How much a texel is of the main hue, from which its own is `away` degrees; pale but not dark; of no hue at all. */
const KINDS: readonly ((chroma: number, light: number, away: number) => number)[] = [
  (chroma, _, away) => smooth(chroma, 0.1, 0.22) * (1 - smooth(away, 45, 75)),
  (chroma, light) => smooth(light, 0.12, 0.28) * (1 - smooth(chroma, 0.18, 0.32)),
  (chroma) => 1 - smooth(chroma, 0.18, 0.32),
];

/** The hue, in degrees, in the middle of the bin that has most, its neighbours included. */
function mostFrequent(bins: Float64Array): number {
  const around = (i: number) =>
    NEIGHBOURS.reduce(
      (sum, weight, k) =>
        sum + weight * (bins[(i + k + 1) % BINS]! + bins[(i - k - 1 + BINS) % BINS]!),
      bins[i]!,
    );
  let best = 0;
  for (let i = 1; i < BINS; i++) if (around(i) > around(best)) best = i;
  return (best + 0.5) / BINS * 360;
}

/** Degrees between two hues. */
function angle(a: number, b: number): number {
  const d = Math.abs(a - b);
  return Math.min(d, 360 - d);
}
