/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

import type { PlacedScene, Rgb, SceneSprite } from "../../../kernels/images/scene_layout.ts";

/** Sprites as {@link composeScenes} takes them. */
export interface Texels {
  /** Bytes red, green, blue and coverage. */
  readonly rgba: Uint8Array;
  /** A byte for each texel. */
  readonly shares: Uint8Array;
}

type Pixel = [number, number, number];

const clamp = (v: number) => Math.min(1, Math.max(0, v));
const mix = (a: Rgb, b: Rgb, t: number) => a.map((v, i) => v * (1 - t) + b[i]! * t) as Pixel;

/** Composes scenes of `size` pixels: [B, S, S, 3]. */
export function composeScenes(
  scenes: readonly PlacedScene[],
  texels: Texels,
  size: number,
): Float64Array {
  const out = new Float64Array(scenes.length * size * size * 3);
  let at = 0;
  for (const scene of scenes) {
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const [x, y] = [(column + 0.5) / size, (row + 0.5) / size];
        let rgb = background(scene, y, size);
        const white = 0.9 * Math.max(0, ...scene.dots.map((dot) => dotted(dot, x, y, size)));
        rgb = mix(rgb, [1, 1, 1], white);
        for (const sprite of scene.sprites) rgb = drawn(sprite, texels, x, y, rgb);
        for (const v of rgb) out[at++] = 2 * v - 1;
      }
    }
  }
  return out;
}

function background({ colours, horizon, shore }: PlacedScene, y: number, size: number): Pixel {
  const [sky, band, ground] = colours;
  const parts = [
    mix(...sky, clamp(y / Math.min(1, horizon))),
    mix(...band, clamp((y - horizon) / Math.max(1e-3, shore - horizon))),
    mix(...ground, clamp((y - shore) / Math.max(1e-3, 1 - shore))),
  ] as const;
  const far = mix(parts[0], parts[1], clamp((y - horizon) * size + 0.5));
  return mix(far, parts[2], clamp((y - shore) * size + 0.5)).map(clamp) as Pixel;
}

function dotted(
  { x, y, radius, strength }: PlacedScene["dots"][number],
  px: number,
  py: number,
  size: number,
): number {
  const d = Math.hypot(px - x, py - y) * size;
  const disc = clamp(radius * size + 0.7 - d);
  const ring = 0.35 * disc + 0.5 * clamp(1 - Math.abs(d - radius * size));
  return Math.abs(strength) * (strength < 0 ? ring : disc);
}

function drawn(sprite: SceneSprite, texels: Texels, x: number, y: number, below: Pixel): Pixel {
  const { matrix, recolour, shadow: { centre, radii, strength } } = sprite;
  const away = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2;
  const base = below.map((v) => v * (1 - strength * Math.exp(-away))) as Pixel;
  const [u, v] = matrix.map((row) => row[0]! * x + row[1]! * y + row[2]!) as [number, number];
  const { rgb, coverage, share } = sampled(sprite, texels, u, v);
  if (coverage <= 0) return base;
  const colour = recolour
    ? mix(rgb, recoloured(rgb, recolour.colour, recolour.lightness), share)
    : rgb;
  return mix(base, colour, coverage);
}

function sampled({ first, side }: SceneSprite, { rgba, shares }: Texels, u: number, v: number) {
  const [left, top] = [Math.floor(u - 0.5), Math.floor(v - 0.5)];
  const sums = [0, 0, 0, 0, 0];
  for (
    const [column, row] of [[left, top], [left + 1, top], [left, top + 1], [left + 1, top + 1]]
  ) {
    if (column! < 0 || row! < 0 || column! >= side || row! >= side) continue;
    const at = first + row! * side + column!;
    const weight = (1 - Math.abs(u - 0.5 - column!)) * (1 - Math.abs(v - 0.5 - row!));
    const covered = weight * rgba[4 * at + 3]! / 255;
    for (let c = 0; c < 3; c++) sums[c]! += covered * rgba[4 * at + c]! / 255;
    sums[3]! += covered;
    sums[4]! += covered * shares[at]! / 255;
  }
  const coverage = sums[3]!;
  const [r, g, b, , share] = sums.map((sum) => sum / (coverage || 1));
  return { rgb: [r!, g!, b!] as Pixel, coverage, share: share! };
}

function recoloured(rgb: Rgb, colour: Rgb, lightness: number): Pixel {
  const own = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  if (own < lightness) {
    return colour.map((v) => v * clamp(own / lightness) ** 0.85) as Pixel;
  }
  return mix(colour, [1, 1, 1], 0.75 * clamp((own - lightness) / (1.3 - lightness)));
}
