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

/** Hue in degrees from 0 to 360 (yellow is 60, blue 240), chroma and value of a colour, both from 0 to 1. */
export function hueChromaValue([r, g, b]: Rgb): { hue: number; chroma: number; value: number } {
  const degrees = Math.atan2((g - b) * Math.sqrt(3), 2 * r - g - b) * 180 / Math.PI;
  const value = Math.max(r, g, b);
  return { hue: (degrees + 360) % 360, chroma: value - Math.min(r, g, b), value };
}

/** The place in {@link PALETTE} of the name that people would give a colour. */
export function nameColour(rgb: Rgb): number {
  return paletteIndex(nameOf(rgb));
}

function nameOf(rgb: Rgb): string {
  const { hue, chroma, value } = hueChromaValue(rgb);
  if (chroma < 0.16) return value < 0.32 ? "black" : value > 0.82 ? "white" : "gray";
  if (hue < 14 || hue > 342) {
    if (chroma > 0.45) return "red";
    return value > 0.8 ? "pink" : value < 0.55 ? "brown" : "red";
  }
  if (hue < 42) return value < 0.72 || chroma < 0.4 ? "brown" : "orange";
  if (hue < 68) return value > 0.7 ? "yellow" : "brown";
  if (hue < 165) return "green";
  if (hue < 250) return "blue";
  return hue < 295 ? "purple" : "pink";
}
