/** From the stored pixels of a PNG, in any of its forms, to RGBA8. */

import { corruptPng } from "./chunks.ts";
import type { PngParts } from "./parts.ts";

/**
 * Converts stored pixels, from byte `from` of a line on, to words of RGBA8: red is the lowest byte, which
 * comes first in memory wherever there is WebGPU.
 */
export type Expand = (
  line: Uint8Array,
  from: number,
  width: number,
  out: Uint32Array,
  to: number,
) => void;

/**
 * Returns the function that converts an image's pixels.
 *
 * Of 16 bits, the upper 8 are used, as Pillow does: v >> 8.
 *
 * @param name The file's name, for messages only. The function throws a FileError for an index that is
 * not in the palette.
 */
export function expander(parts: PngParts, name: string): Expand {
  const { header: { depth, colour }, palette, transparency } = parts;
  if (colour === "palette") return indexed(depth, paletteWords(palette!, transparency), name);
  const clear = transparency && Array.from(
    { length: transparency.length / 2 },
    (_, i) => (transparency[2 * i]! << 8 | transparency[2 * i + 1]!) & 2 ** depth - 1,
  );
  if (colour === "grey" && depth <= 8) return indexed(depth, greyWords(depth, clear?.[0]), name);
  const bytes = depth / 8;
  if (colour === "grey") return grey16(clear?.[0] ?? -1);
  if (colour === "grey with alpha") return greyWithAlpha(bytes);
  return colour === "RGBA" ? rgba(bytes) : rgb(bytes, clear);
}

function word(red: number, green: number, blue: number, alpha: number): number {
  return red | green << 8 | blue << 16 | alpha << 24;
}

function paletteWords(palette: Uint8Array, alphas: Uint8Array = new Uint8Array()): Uint32Array {
  return Uint32Array.from({ length: palette.length / 3 }, (_, i) => {
    return word(palette[3 * i]!, palette[3 * i + 1]!, palette[3 * i + 2]!, alphas[i] ?? 255);
  });
}

function greyWords(depth: number, clear?: number): Uint32Array {
  return Uint32Array.from({ length: 2 ** depth }, (_, i) => {
    const grey = i * 255 / (2 ** depth - 1);
    return word(grey, grey, grey, i === clear ? 0 : 255);
  });
}

function indexed(depth: number, words: Uint32Array, name: string): Expand {
  const check = (most: number) => {
    if (most >= words.length) throw corruptPng(name, `colour ${most} is not in its palette`);
  };
  if (depth === 8) {
    return (line, from, width, out, to) => {
      let most = 0;
      for (let i = 0; i < width; i++) {
        const index = line[from + i]!;
        if (index > most) most = index;
        out[to + i] = words[index]!;
      }
      check(most);
    };
  }
  const mask = 2 ** depth - 1;
  const perByte = 8 / depth;
  return (line, from, width, out, to) => {
    let most = 0;
    for (let i = 0; i < width; i++) {
      const shift = 8 - depth * (i % perByte + 1);
      const index = line[from + Math.floor(i / perByte)]! >> shift & mask;
      if (index > most) most = index;
      out[to + i] = words[index]!;
    }
    check(most);
  };
}

function grey16(clear: number): Expand {
  return (line, at, width, out, to) => {
    for (const end = to + width; to < end; at += 2) {
      const grey = line[at]!;
      const alpha = (grey << 8 | line[at + 1]!) === clear ? 0 : 255;
      out[to++] = word(grey, grey, grey, alpha);
    }
  };
}

function greyWithAlpha(bytes: number): Expand {
  return (line, at, width, out, to) => {
    for (const end = to + width; to < end; at += 2 * bytes) {
      const grey = line[at]!;
      out[to++] = word(grey, grey, grey, line[at + bytes]!);
    }
  };
}

function rgba(bytes: number): Expand {
  return (line, at, width, out, to) => {
    for (const end = to + width; to < end; at += 4 * bytes) {
      const [red, green] = [line[at]!, line[at + bytes]!];
      out[to++] = word(red, green, line[at + 2 * bytes]!, line[at + 3 * bytes]!);
    }
  };
}

function rgb(bytes: number, clear?: readonly number[]): Expand {
  const expand: Expand = (line, at, width, out, to) => {
    for (const end = to + width; to < end; at += 3 * bytes) {
      out[to++] = word(line[at]!, line[at + bytes]!, line[at + 2 * bytes]!, 255);
    }
  };
  if (!clear) return expand;
  const key = clear.flatMap((value) => bytes === 2 ? [value >> 8, value & 255] : [value]);
  return (line, from, width, out, to) => {
    expand(line, from, width, out, to);
    for (let i = 0, at = from; i < width; i++, at += key.length) {
      if (key.every((byte, k) => line[at + k] === byte)) out[to + i] = out[to + i]! & 0xffffff;
    }
  };
}
