// Writes PNG files of every form, and broken ones, with code that shares nothing with the reader.

import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";

/** The colour types of IHDR, with the depths they allow and the values of a pixel. */
export const FORMS = [
  { type: 0, depths: [1, 2, 4, 8, 16], channels: 1 },
  { type: 2, depths: [8, 16], channels: 3 },
  { type: 3, depths: [1, 2, 4, 8], channels: 1 },
  { type: 4, depths: [8, 16], channels: 2 },
  { type: 6, depths: [8, 16], channels: 4 },
] as const;

/** What to write. */
export interface PngPlan {
  readonly width: number;
  readonly height: number;
  readonly type?: number;
  readonly depth?: number;
  readonly interlaced?: boolean;
  /** The stored value of a channel, below 2^depth. */
  readonly sample?: (x: number, y: number, channel: number) => number;
  /** The filter of each line. */
  readonly filter?: (line: number) => number;
  /** Chunks before the pixels: each a type, its content, and whether to break its checksum. */
  readonly before?: readonly (readonly [type: string, data: Iterable<number>, broken?: boolean])[];
  /** The size in the header, if it is false. */
  readonly claims?: readonly [width: number, height: number];
  /** Changes the filtered lines before they are compressed. */
  readonly stored?: (lines: Uint8Array) => Uint8Array;
  /** Cuts the compressed data into IDAT chunks. */
  readonly pieces?: (compressed: Uint8Array) => readonly Uint8Array[];
  /** Chunks after the pixels. */
  readonly after?: PngPlan["before"];
}

const word = (value: number) => [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];

function chunk(type: string, data: Iterable<number>, broken = false): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), Uint8Array.from(data)]);
  const sum = crc32(body) ^ Number(broken);
  return Buffer.concat([Buffer.from(word(body.length - 4)), body, Buffer.from(word(sum))]);
}

/** Writes a PNG. */
export function makePng(plan: PngPlan): Uint8Array<ArrayBuffer> {
  const { width, height, type = 2, depth = 8, interlaced = false } = plan;
  const { claims = [width, height], before = [], after = [], stored = (lines) => lines } = plan;
  const { pieces = (data) => [data] } = plan;
  const lines = stored(Uint8Array.from(linesOf(plan)));
  return Uint8Array.from(Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", [...claims.flatMap(word), depth, type, 0, 0, Number(interlaced)]),
    ...before.map((args) => chunk(...args)),
    ...pieces(deflateSync(lines)).map((piece) => chunk("IDAT", piece)),
    ...after.map((args) => chunk(...args)),
    chunk("IEND", []),
  ]));
}

/** All filtered lines of all passes, one after the other. */
function linesOf(plan: PngPlan): number[] {
  const { width, height, type = 2, depth = 8, interlaced, sample = () => 0 } = plan;
  const channels = FORMS.find((form) => form.type === type)?.channels ?? 1;
  const step = Math.max(1, channels * depth / 8);
  const out: number[] = [];
  // which pass a pixel belongs to, as the specification's table of 8x8 shows it
  const table = "16462646777777775656565677777777" + "36463646777777775656565677777777";
  const passes = interlaced ? "1234567" : "0";
  let count = 0;
  for (const pass of passes) {
    let above: number[] = [];
    for (let y = 0; y < height; y++) {
      const bits: number[] = [];
      for (let x = 0; x < width; x++) {
        if (interlaced && table[y % 8 * 8 + x % 8] !== pass) continue;
        for (let c = 0; c < channels; c++) {
          for (let bit = depth - 1; bit >= 0; bit--) bits.push(sample(x, y, c) >> bit & 1);
        }
      }
      if (bits.length === 0) continue;
      while (bits.length % 8) bits.push(0);
      const line = Array.from(
        { length: bits.length / 8 },
        (_, i) => bits.slice(8 * i, 8 * i + 8).reduce((byte, bit) => 2 * byte + bit, 0),
      );
      const filter = plan.filter?.(count++) ?? 0;
      out.push(
        filter,
        ...line.map((byte, i) => byte - predict(filter, line, above, i, step) & 255),
      );
      above = line;
    }
  }
  return out;
}

function predict(filter: number, line: number[], above: number[], i: number, step: number): number {
  const [left, up, corner] = [line[i - step] ?? 0, above[i] ?? 0, above[i - step] ?? 0];
  const guess = left + up - corner;
  const nearest = [left, up, corner].toSorted((a, b) => Math.abs(guess - a) - Math.abs(guess - b));
  return [0, left, up, Math.floor((left + up) / 2), nearest[0]][filter] ?? 0;
}
