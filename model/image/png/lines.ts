/** From the compressed data of a PNG to lines of stored pixels: inflates them, and undoes filters. */

import { Readable } from "node:stream";
import { createInflate } from "node:zlib";
import { corruptPng, type PngHeader } from "./chunks.ts";

/** The pixels that are stored together: all of them, or every dx-th of every dy-th row if interlaced. */
export interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
  readonly width: number;
  readonly height: number;
  /** Bytes of a line, without its filter. */
  readonly length: number;
}

const WHOLE = [[0, 0, 1, 1]] as const;
/** The order of Adam7. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
// Small enough to keep little, large enough for few turns of the event loop.
const [PIECE, INFLATED] = [2 ** 16, 2 ** 18];

/** Lists the passes that hold pixels. */
export function passesOf(header: PngHeader): Pass[] {
  const bits = header.channels * header.depth;
  return (header.interlaced ? ADAM7 : WHOLE).map(([x, y, dx, dy]) => {
    const width = Math.ceil((header.width - x) / dx);
    const height = Math.ceil((header.height - y) / dy);
    return { x, y, dx, dy, width, height, length: Math.ceil(width * bits / 8) };
  }).filter(({ width, height }) => width > 0 && height > 0);
}

/** Returns the bytes of all lines and their filters. */
export function lengthOf(passes: readonly Pass[]): number {
  return passes.reduce((sum, { length, height }) => sum + (length + 1) * height, 0);
}

/** Decompresses zlib data piece by piece. */
export function inflate(data: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  return Readable.from(pieces(data)).pipe(createInflate({ chunkSize: INFLATED }));
}

/** Cuts data into pieces of equal length, as each costs a turn: a part may have a single byte. */
function* pieces(data: readonly Uint8Array[]): Generator<Uint8Array> {
  let piece = new Uint8Array(PIECE);
  let filled = 0;
  for (const part of data) {
    for (let at = 0; at < part.length;) {
      const taken = part.subarray(at, at + PIECE - filled);
      at += taken.length;
      if (taken.length === PIECE) {
        yield taken;
        continue;
      }
      piece.set(taken, filled);
      filled += taken.length;
      if (filled < PIECE) continue;
      yield piece;
      piece = new Uint8Array(PIECE);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

/** Cuts inflated data into lines, and undoes their filters. */
export class Lines {
  /** How many bytes are still to come. */
  missing: number;
  #passes: Iterator<Pass>;
  #left = 0;
  // Both lines begin with the zeros that filters see left of a line.
  #line: Uint8Array;
  #above: Uint8Array;
  #step: number;
  #filter = -1;
  #filled = 0;
  #end = 0;

  /** Prepares for all passes of an image. */
  constructor(header: PngHeader, passes: readonly Pass[], private readonly name: string) {
    this.#step = Math.max(1, header.channels * header.depth / 8);
    this.missing = lengthOf(passes);
    const longest = passes.reduce((most, { length }) => Math.max(most, length), 0);
    this.#line = new Uint8Array(this.#step + longest);
    this.#above = new Uint8Array(this.#step + longest);
    this.#passes = passes.values();
  }

  /**
   * Takes the next bytes, and yields the lines that they complete, each valid until the next.
   *
   * @throws {FileError} A line has an unknown filter, or there are more lines than the image has.
   */
  *add(data: Uint8Array): Generator<Uint8Array, void> {
    this.missing -= data.length;
    if (this.missing < 0) throw corruptPng(this.name, "it has more pixel data than pixels");
    for (let at = 0; at < data.length;) {
      if (this.#filter < 0) this.#begin(data[at++]!);
      const taken = data.subarray(at, at + this.#end - this.#filled);
      this.#line.set(taken, this.#filled);
      at += taken.length;
      this.#filled += taken.length;
      if (this.#filled < this.#end) return;
      const line = this.#line;
      unfilter(this.#filter, line, this.#above, this.#step, this.#end);
      [this.#line, this.#above, this.#filter] = [this.#above, line, -1];
      yield line.subarray(this.#step, this.#end);
    }
  }

  #begin(filter: number): void {
    if (filter > 4) throw corruptPng(this.name, `a line has the unknown filter ${filter}`);
    if (this.#left === 0) {
      const { length, height } = this.#passes.next().value as Pass;
      this.#left = height;
      this.#end = this.#step + length;
      this.#above.fill(0);
    }
    this.#left--;
    this.#filter = filter;
    this.#filled = this.#step;
  }
}

/** Undoes a filter in bytes [step, end) of a line; `step` is the distance to the pixel on the left. */
function unfilter(
  filter: number,
  line: Uint8Array,
  above: Uint8Array,
  step: number,
  end: number,
): void {
  if (filter === 1) {
    for (let i = step; i < end; i++) line[i] = line[i]! + line[i - step]!;
  } else if (filter === 2) {
    for (let i = step; i < end; i++) line[i] = line[i]! + above[i]!;
  } else if (filter === 3) {
    for (let i = step; i < end; i++) line[i] = line[i]! + (line[i - step]! + above[i]! >> 1);
  } else if (filter === 4) {
    for (let channel = step; channel < 2 * step; channel++) paeth(line, above, channel, step, end);
  }
}

/** The filter that predicts the neighbour nearest to left + up - corner, for bytes `from`, `from` + `step`, … */
function paeth(line: Uint8Array, above: Uint8Array, from: number, step: number, end: number): void {
  let [left, corner] = [0, 0];
  for (let i = from; i < end; i += step) {
    const up = above[i]!;
    const [a, b] = [up - corner, left - corner];
    const [toLeft, toUp, toCorner] = [Math.abs(a), Math.abs(b), Math.abs(a + b)];
    // masks in place of branches, which noise makes slow: all ones where the condition holds
    const corners = toCorner - toUp >> 31;
    const others = (toUp - toLeft | toCorner - toLeft) >> 31;
    const other = up ^ ((up ^ corner) & corners);
    left = line[i]! + (left ^ ((left ^ other) & others)) & 255;
    line[i] = left;
    corner = up;
  }
}
