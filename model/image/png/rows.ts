/** Reads PNG files row by row: any colour type, depth and interlace. */

import { checkSize, MAX_PIXELS, truncated, unreadable } from "../base/errors.ts";
import { corruptPng, type PngHeader } from "./chunks.ts";
import { inflate, lengthOf, Lines, type Pass, passesOf } from "./lines.ts";
import { readParts } from "./parts.ts";
import { type Expand, expander } from "./pixels.ts";
import type { ImageLimits, RowSource } from "../base/rows.ts";

/** A PNG whose pixels come row by row. */
export interface PngSource extends RowSource {
  readonly header: PngHeader;
}

// The longest side, as libpng has it by default: some rows must fit into memory.
const MAX_SIDE = 1_000_000;
// No deflate data expand by more.
const DEFLATE = 1032;
const NONE = new Uint8Array();
// How many pixels to yield at once, if rows are short.
const BATCH = 2 ** 16;

/**
 * Opens a PNG: checks its chunks and its size, and decodes nothing yet.
 *
 * Of an animation, gives the still image. Leaves out damaged chunks that the image does not need, as
 * libpng does, with a warning. Keeps a few rows; of an interlaced image, all stored pixels.
 *
 * @param bytes A complete file; what follows its IEND is ignored.
 * @param name The file's name, for messages only.
 *
 * @example
 * ```ts
 * import { encodePng } from "../png.ts";
 * import { openPng } from "./rows.ts";
 *
 * const source = openPng(encodePng(new Uint8Array(16), 2, 2), "cat.png");
 * for await (const rows of source.rows()) rows.length; // 16: both rows at once
 * ```
 *
 * @throws {FileError} `bad-image`, `truncated-image`, `empty-image`, `image-too-large`. `rows()` throws
 * the first two: pixel data that end early are found no sooner.
 */
export function openPng(bytes: Uint8Array, name: string, limits: ImageLimits = {}): PngSource {
  const parts = readParts(bytes, name);
  const { header, data, transparency } = parts;
  const { width, height, colour } = header;
  const passes = passesOf(header);
  checkClaims(header, passes, data, name, limits);
  const expand = expander(parts, name);
  return {
    header,
    width,
    height,
    orientation: parts.orientation,
    opaque: !transparency && (colour === "grey" || colour === "RGB" || colour === "palette"),
    icc: parts.profile,
    warnings: parts.warnings,
    rows() {
      const lines = readLines(data, new Lines(header, passes, name), name);
      return header.interlaced
        ? interlacedRows(header, passes, lines, expand)
        : plainRows(header, lines, expand);
    },
  };
}

/** Refuses what the header claims if the file cannot hold it, or memory should not. */
function checkClaims(
  { width, height, interlaced }: PngHeader,
  passes: readonly Pass[],
  data: readonly Uint8Array[],
  name: string,
  limits: ImageLimits,
): void {
  const stored = lengthOf(passes);
  const compressed = data.reduce((sum, { length }) => sum + length, 0);
  if (stored > compressed * DEFLATE) {
    throw truncated(
      name,
      `its ${compressed} bytes of pixel data cannot be ${width}x${height} pixels`,
    );
  }
  checkSize(name, width, height, limits);
  if (Math.max(width, height) > MAX_SIDE) {
    const why = `${width}x${height} is more than ${MAX_SIDE} pixels on a side; make it smaller`;
    throw unreadable(name, "image-too-large", why);
  }
  if (interlaced && stored > 4 * (limits.maxPixels ?? MAX_PIXELS)) {
    const why =
      `it is interlaced, and takes ${stored} bytes of memory; save it without interlacing`;
    throw unreadable(name, "image-too-large", why, { hint: "max-pixels" });
  }
}

/** Inflates pixel data, and yields what calls for each line: some lines at once. */
async function* readLines(
  data: readonly Uint8Array[],
  lines: Lines,
  name: string,
): AsyncGenerator<Iterable<Uint8Array>, void> {
  try {
    for await (const inflated of inflate(data)) yield lines.add(inflated);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code === "Z_BUF_ERROR") throw truncated(name, undefined, error); // they have no end
    if (code?.startsWith("Z_")) throw corruptPng(name, message, error);
    throw error;
  }
  if (lines.missing > 0) throw truncated(name, `its pixel data end ${lines.missing} bytes early`);
}

async function* plainRows(
  { width, height }: PngHeader,
  lines: AsyncIterable<Iterable<Uint8Array>>,
  expand: Expand,
): AsyncGenerator<Uint8Array, void> {
  const count = Math.min(height, Math.max(1, Math.floor(BATCH / width)));
  const pixels = new Uint32Array(count * width);
  const bytes = new Uint8Array(pixels.buffer);
  let filled = 0;
  for await (const some of lines) {
    for (const line of some) {
      expand(line, 0, width, pixels, filled);
      filled += width;
      if (filled < pixels.length) continue;
      yield bytes;
      filled = 0;
    }
  }
  if (filled > 0) yield bytes.subarray(0, 4 * filled);
}

/** Holds the stored pixels of all passes, which are at most as many bytes as RGBA, and merges them row by row. */
async function* interlacedRows(
  { width, height }: PngHeader,
  passes: readonly Pass[],
  lines: AsyncIterable<Iterable<Uint8Array>>,
  expand: Expand,
): AsyncGenerator<Uint8Array, void> {
  const size = ({ length, height }: Pass) => length * height;
  const stored = new Uint8Array(passes.reduce((sum, pass) => sum + size(pass), 0));
  let filled = 0;
  for await (const some of lines) {
    for (const line of some) {
      stored.set(line, filled);
      filled += line.length;
    }
    yield NONE; // whoever reads may stop here
  }
  const row = new Uint32Array(width);
  const bytes = new Uint8Array(row.buffer);
  const own = new Uint32Array(width); // the pixels of one pass
  for (let y = 0; y < height; y++) {
    let start = 0;
    for (const pass of passes) {
      const line = (y - pass.y) / pass.dy;
      if (line >= 0 && Number.isInteger(line)) {
        expand(stored, start + line * pass.length, pass.width, own, 0);
        for (let i = 0, x = pass.x; i < pass.width; i++, x += pass.dx) row[x] = own[i]!;
      }
      start += size(pass);
    }
    yield bytes;
  }
}
