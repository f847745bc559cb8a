/** The colours that captions name. */

import type { Rgb } from "../../../../kernels/images/scene_layout.ts";

/** A colour with a name. */
export interface PaletteColour {
  readonly name: string;
  /** Words for it, the usual one more often. */
  readonly words: readonly string[];
  /** From 0 to 1. */
  readonly rgb: Rgb;
}

const colour = (name: string, rgb: Rgb, words = [name]): PaletteColour => ({ name, words, rgb });

/** All colours, each far enough from the others to be told apart. */
export const PALETTE: readonly PaletteColour[] = [
  colour("red", [0.87, 0.12, 0.13]),
  colour("orange", [0.98, 0.5, 0.06]),
  colour("yellow", [0.99, 0.82, 0.1]),
  colour("green", [0.2, 0.67, 0.25]),
  colour("blue", [0.13, 0.4, 0.92]),
  colour("purple", [0.54, 0.24, 0.8], ["purple", "purple", "violet"]),
  colour("pink", [0.99, 0.5, 0.73]),
  colour("brown", [0.49, 0.29, 0.15]),
  colour("black", [0.12, 0.12, 0.14]),
  colour("white", [0.95, 0.95, 0.97]),
  colour("gray", [0.55, 0.56, 0.58], ["gray", "grey"]),
];

/** The place of a colour in {@link PALETTE}; −1 if there is none of that name. */
export function paletteIndex(name: string): number {
  return PALETTE.findIndex((colour) => colour.name === name);
}

/** Hue in degrees from 0 to 360 (yellow is 60, blue 240), and chroma from 0 to 1. */
export function hueAndChroma([r, g, b]: Rgb): { hue: number; chroma: number } {
  const degrees = Math.atan2((g - b) * Math.sqrt(3), 2 * r - g - b) * 180 / Math.PI;
  return { hue: (degrees + 360) % 360, chroma: Math.max(r, g, b) - Math.min(r, g, b) };
}

/** How far, in red, green and blue from 0 to 1, a colour may be from one of the palette to pass for it. */
const NEAR = 0.15;

/** The place in {@link PALETTE} of the colour that `rgb` passes for; null if there is none. */
export function colourNear(rgb: Rgb): number | null {
  const distances = PALETTE.map(({ rgb: other }) =>
    Math.hypot(...rgb.map((v, c) => v - other[c]!))
  );
  const least = Math.min(...distances);
  return least < NEAR ? distances.indexOf(least) : null;
}
