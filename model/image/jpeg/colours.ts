/** Converts the components of a JPEG to RGBA, with the integers of libjpeg. */

import type { JpegColours } from "./types.ts";
import type { Line } from "./upsample.ts";

/** Writes one row: `width` pixels of RGBA from `to`. */
type Write = (lines: readonly Line[], out: Uint8ClampedArray, to: number, width: number) => void;

// By a byte of Cr or Cb: what it adds to red, green (in units of 2^-16) and blue.
const table = (weight: number, half: number, shift: number) =>
  Int32Array.from(
    { length: 256 },
    (_, i) => Math.round(weight * 65536) * (i - 128) + half >> shift,
  );
const CR_RED = table(1.402, 32768, 16);
const CB_BLUE = table(1.772, 32768, 16);
const CR_GREEN = table(-0.71414, 0, 0);
const CB_GREEN = table(-0.34414, 32768, 0);

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
  for (let x = 0; x < width; x++, to += 4) {
    const y = lumas[luma + x], cb = blues[blue + x], cr = reds[red + x];
    out[to] = y + CR_RED[cr];
    out[to + 1] = y + (CB_GREEN[cb] + CR_GREEN[cr] >> 16);
    out[to + 2] = y + CB_BLUE[cb];
    out[to + 3] = 255;
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
