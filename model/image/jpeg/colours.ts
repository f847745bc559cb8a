/** Converts the components of a JPEG to RGBA, with the integers of libjpeg. */

import type { JpegColours } from "./types.ts";
import type { Line } from "./upsample.ts";

/** Writes one row: `width` pixels of RGBA from `to`. */
type Write = (lines: readonly Line[], out: Uint8ClampedArray, to: number, width: number) => void;

// How much Cr and Cb add, in units of 2^-16.
const CR_RED = 91881, CR_GREEN = 46802, CB_GREEN = 22554, CB_BLUE = 116130;
const HALF = 32768;

/** Returns what converts rows of these components. */
export function colourWriter(colours: JpegColours): Write {
  switch (colours) {
    case "grey":
      return ([grey], ...rest) => writeRgb(grey!, grey!, grey!, ...rest);
    case "rgb":
      return ([red, green, blue], ...rest) => writeRgb(red!, green!, blue!, ...rest);
    case "ycc":
      return writeYcc;
    case "cmyk":
      return (lines, ...rest) => {
        writeRgb(lines[0]!, lines[1]!, lines[2]!, ...rest);
        darken(lines[3]!, ...rest);
      };
    case "ycck":
      return (lines, out, to, width) => {
        writeYcc(lines, out, to, width);
        for (let i = to; i < to + 4 * width; i++) out[i] = 255 - out[i];
        darken(lines[3]!, out, to, width);
      };
  }
}

function writeRgb(
  { samples: reds, at: red }: Line,
  { samples: greens, at: green }: Line,
  { samples: blues, at: blue }: Line,
  out: Uint8ClampedArray,
  to: number,
  width: number,
): void {
  for (let x = 0; x < width; x++, to += 4) {
    out[to] = reds[red + x];
    out[to + 1] = greens[green + x];
    out[to + 2] = blues[blue + x];
    out[to + 3] = 255;
  }
}

function writeYcc(lines: readonly Line[], out: Uint8ClampedArray, to: number, width: number): void {
  const { samples: lumas, at: luma } = lines[0]!;
  const { samples: blues, at: blue } = lines[1]!;
  const { samples: reds, at: red } = lines[2]!;
  const words = new Uint32Array(out.buffer, to, width);
  for (let x = 0; x < width; x++) {
    const y = lumas[luma + x], cb = blues[blue + x] - 128, cr = reds[red + x] - 128;
    let r = y + (CR_RED * cr + HALF >> 16);
    let g = y + (HALF - CB_GREEN * cb - CR_GREEN * cr >> 16);
    let b = y + (CB_BLUE * cb + HALF >> 16);
    r = r < 0 ? 0 : r > 255 ? 255 : r;
    g = g < 0 ? 0 : g > 255 ? 255 : g;
    b = b < 0 ? 0 : b > 255 ? 255 : b;
    words[x] = r | g << 8 | b << 16 | 0xff000000;
  }
}

/** Multiplies RGB, which is what ink of three colours leaves of white, by what black ink leaves. */
function darken(
  { samples, at }: Line,
  out: Uint8ClampedArray,
  to: number,
  width: number,
): void {
  for (let x = 0; x < width; x++, to += 4) {
    const black = samples[at + x];
    for (let c = 0; c < 3; c++) out[to + c] = Math.round(out[to + c] * black / 255);
    out[to + 3] = 255;
  }
}
