/** Backgrounds: white, a colour, a gradient between two, or one of ten landscapes. */

import type { Rgb, SceneDot } from "../../../../kernels/images/scene_layout.ts";
import type { Draws } from "../base/draws.ts";
import { PALETTE } from "./palette.ts";
import type { Background } from "./scene.ts";
import { article, GRADIENT_WORDS } from "./vocabulary.ts";

/** What is scattered over a landscape. */
type Scatter = "stars" | "snow" | "bubbles";

interface Landscape {
  readonly phrases: readonly string[];
  /** Colours at the top and at the bottom of each part. */
  readonly sky: [Rgb, Rgb];
  readonly band?: [Rgb, Rgb];
  readonly ground?: [Rgb, Rgb];
  readonly horizon?: number;
  /** Where the band ends; the horizon if absent. */
  readonly shore?: number;
  readonly scatter?: Scatter;
}

const LANDSCAPES: readonly Landscape[] = [
  {
    phrases: ["on the grass", "in a field", "in a meadow"],
    sky: [[0.36, 0.68, 0.97], [0.8, 0.92, 1]],
    ground: [[0.45, 0.76, 0.32], [0.22, 0.55, 0.2]],
    horizon: 0.6,
  },
  {
    phrases: ["on the beach", "on a beach", "at the beach"],
    sky: [[0.4, 0.74, 0.98], [0.82, 0.94, 1]],
    band: [[0.1, 0.55, 0.8], [0.25, 0.75, 0.85]],
    ground: [[0.97, 0.89, 0.68], [0.88, 0.74, 0.48]],
    horizon: 0.46,
    shore: 0.62,
  },
  {
    phrases: ["in the snow", "on the snow"],
    sky: [[0.62, 0.76, 0.9], [0.88, 0.93, 0.98]],
    ground: [[0.97, 0.98, 1], [0.82, 0.88, 0.96]],
    horizon: 0.6,
    scatter: "snow",
  },
  {
    phrases: ["in the desert", "on the sand"],
    sky: [[0.98, 0.8, 0.5], [1, 0.92, 0.75]],
    ground: [[0.94, 0.72, 0.4], [0.8, 0.52, 0.24]],
    horizon: 0.6,
  },
  {
    phrases: ["at night", "under the stars"],
    sky: [[0.03, 0.04, 0.16], [0.14, 0.17, 0.42]],
    ground: [[0.1, 0.16, 0.2], [0.04, 0.07, 0.1]],
    horizon: 0.74,
    scatter: "stars",
  },
  {
    phrases: ["at sunset", "in the sunset"],
    sky: [[0.36, 0.2, 0.55], [1, 0.62, 0.35]],
    band: [[0.62, 0.34, 0.5], [0.3, 0.18, 0.42]],
    ground: [[0.22, 0.14, 0.3], [0.1, 0.07, 0.18]],
    horizon: 0.58,
    shore: 0.8,
  },
  {
    phrases: ["in space", "in outer space"],
    sky: [[0.02, 0.01, 0.07], [0.12, 0.04, 0.22]],
    scatter: "stars",
  },
  {
    phrases: ["underwater", "under water", "in the sea"],
    sky: [[0.3, 0.8, 0.92], [0.02, 0.22, 0.52]],
    scatter: "bubbles",
  },
  { phrases: ["in the sky"], sky: [[0.22, 0.55, 0.95], [0.8, 0.92, 1]] },
  {
    phrases: ["on a wooden table", "on the table", "on a table"],
    sky: [[0.95, 0.92, 0.86], [0.98, 0.95, 0.9]],
    ground: [[0.72, 0.48, 0.28], [0.55, 0.34, 0.18]],
    horizon: 0.62,
  },
];

/** How many there are of each, and the least and the largest radius in an image of 128 pixels. */
const SCATTERED: Readonly<Record<Scatter, { count: number; radius: [number, number] }>> = {
  stars: { count: 46, radius: [0.5, 1.2] },
  snow: { count: 40, radius: [1, 2.2] },
  bubbles: { count: 16, radius: [1.6, 4] },
};

/** Below the bottom: a background that is all sky. */
const NEVER = 2;

const flat = (phrase: string, top: Rgb, bottom: Rgb): Background => ({
  phrase,
  colours: [[top, bottom], [top, bottom], [top, bottom]],
  horizon: NEVER,
  shore: NEVER,
  dots: [],
  grounded: false,
});

/** Nothing but white. */
export const WHITE: Background = flat("", [1, 1, 1], [1, 1, 1]);

/**
 * Draws a background other than white: a colour in 45 of 100, a gradient in 16, or a landscape.
 *
 * @param avoid Colours of the palette that the objects have: they would not be seen on a plain background of one.
 */
export function drawBackground(draws: Draws, avoid: readonly number[]): Background {
  if (draws.odds(0.45)) return tinted(onColour(draws, avoid), draws);
  if (draws.odds(0.3)) return tinted(gradient(draws), draws);
  return tinted(landscape(draws), draws);
}

function onColour(draws: Draws, avoid: readonly number[]): Background {
  let colour = draws.below(PALETTE.length);
  while (avoid.includes(colour)) colour = (colour + 1) % PALETTE.length;
  const word = draws.of(PALETTE[colour]!.words);
  return flat(`on ${article(word)} ${word} background`, pale(colour), pale(colour));
}

function gradient(draws: Draws): Background {
  const top = draws.below(PALETTE.length);
  const bottom = (top + 1 + draws.below(PALETTE.length - 1)) % PALETTE.length;
  const phrase = draws.of(GRADIENT_WORDS)(PALETTE[top]!.name, PALETTE[bottom]!.name);
  return flat(phrase, pale(top), pale(bottom));
}

function landscape(draws: Draws): Background {
  const { phrases, sky, band, ground, horizon = NEVER, shore = horizon, scatter } = draws.of(
    LANDSCAPES,
  );
  const up = draws.between(-0.03, 0.03);
  const low = ground ?? sky;
  return {
    phrase: draws.of(phrases),
    colours: [sky, band ?? low, low],
    horizon: horizon + up,
    shore: shore + up,
    dots: scatter ? scattered(scatter, draws, scatter === "stars" ? horizon + up : 1) : [],
    grounded: ground !== undefined,
  };
}

/** Dots above `lowest`. */
function scattered(scatter: Scatter, draws: Draws, lowest: number): SceneDot[] {
  const { count, radius: [least, most] } = SCATTERED[scatter];
  const sign = scatter === "bubbles" ? -1 : 1;
  return Array.from({ length: count }, () => ({
    x: draws.next(),
    y: draws.next(),
    radius: (least + (most - least) * draws.next() ** 2) / 128,
    strength: sign * draws.between(0.5, 1),
  })).filter(({ y }) => y < lowest);
}

/** A colour of the palette, a little lighter. */
function pale(colour: number): Rgb {
  return PALETTE[colour]!.rgb.map((v) => 0.92 * v + 0.072) as unknown as Rgb;
}

/** Gives a background a slight tint, so that no two are the same. */
function tinted(background: Background, draws: Draws): Background {
  const tint = [0, 1, 2].map(() => draws.between(0.95, 1.05));
  const apply = (rgb: Rgb) => rgb.map((v, i) => v * tint[i]!) as unknown as Rgb;
  const [sky, band, ground] = background.colours.map(([top, bottom]) =>
    [apply(top), apply(bottom)] as [Rgb, Rgb]
  ) as [[Rgb, Rgb], [Rgb, Rgb], [Rgb, Rgb]];
  return { ...background, colours: [sky, band, ground] };
}
