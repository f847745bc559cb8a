import { InputError } from "../../engine/mod.ts";
import { roundHalfEven } from "../config/round_half_even.ts";

/** A scale's size in tokens. */
type Grid = readonly [height: number, width: number];

/** Units of positions: 0 tokens of the scale, 1 the reference's stretched tables, 2 tokens of the reference. */
export type RopeMode = 0 | 1 | 2;

/** Tables of 2-D RoPE with one row per token of a schedule. */
export interface RopeTables {
  /** [rows, width]. */
  readonly cos: Float32Array<ArrayBuffer>;
  /** [rows, width]. */
  readonly sin: Float32Array<ArrayBuffer>;
  /** Number of rows: tokens of all scales. */
  readonly rows: number;
  /** Channel pairs of a head, headDim / 2: the first half rotates by the token's row, the second by its column. */
  readonly width: number;
}

/** Edge of the official tables; mode 1 stretches the reference's longer edge to it. */
const MAX_EDGE = 128;

/**
 * Computes the cos and sin tables of a schedule, in float32 as the official code does (`precompute_rope2d_freqs_grid`
 * in infinity/models/basic.py). Keeps the last ones, so do not change them.
 *
 * @example
 * ```ts
 * import { ropeTables } from "./rope.ts";
 *
 * const { rows, width } = ropeTables([[1, 1], [2, 2], [4, 4]], [64, 64], 64, 2);
 * console.assert(rows === 21 && width === 32);
 * ```
 *
 * @param schedule (h, w) of each scale.
 * @param referenceGrid Last scale of the longest schedule of this shape (the ratio's 1M schedule); mode 0 ignores it.
 * @param headDim Channels of a head, divisible by 4.
 * @param mode The checkpoint's `rope2d_normalized_by_hw`.
 * @param base Base of the geometric series of frequencies.
 * @throws {InputError} `bad-value`: headDim is not divisible by 4.
 */
export function ropeTables(
  schedule: readonly Grid[],
  referenceGrid: Grid,
  headDim: number,
  mode: RopeMode,
  base: number = 10000,
): RopeTables {
  const key = JSON.stringify([schedule, referenceGrid, headDim, mode, base]);
  if (latest?.key !== key) {
    latest = { key, tables: makeTables(schedule, referenceGrid, headDim, mode, base) };
  }
  return latest.tables;
}

/** The tables of the last schedule, which is mostly that of the next image. */
let latest: { readonly key: string; readonly tables: RopeTables } | undefined;

function makeTables(
  schedule: readonly Grid[],
  referenceGrid: Grid,
  headDim: number,
  mode: RopeMode,
  base: number,
): RopeTables {
  if (headDim % 4) {
    throw new InputError(
      "bad-value",
      `Cannot use 2-D RoPE with head_dim ${headDim}: not divisible by 4`,
    );
  }
  const frequencies = Float32Array.from({ length: headDim / 4 }, (_, i) => {
    const exponent = Math.fround(2 * i / (headDim / 2));
    return 1 / Math.fround(base ** exponent);
  });
  const edges = mode === 1 ? stretched(referenceGrid) : referenceGrid;
  const rows = schedule.reduce((sum, [h, w]) => sum + h * w, 0);
  const width = headDim / 2;
  const fill = (f: (angle: number) => number) => {
    const table = new Float32Array(rows * width);
    let at = 0;
    for (const [h, w] of schedule) {
      const down = axis(f, frequencies, h, edges[0], mode);
      const across = axis(f, frequencies, w, edges[1], mode);
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++, at += width) {
          table.set(down[y]!, at);
          table.set(across[x]!, at + width / 2);
        }
      }
    }
    return table;
  };
  return { cos: fill(Math.cos), sin: fill(Math.sin), rows, width };
}

/** The part of the official tables that mode 1 shrinks to each scale: the reference's aspect ratio at full length. */
function stretched([h, w]: Grid): Grid {
  return h >= w
    ? [MAX_EDGE, Math.trunc(MAX_EDGE / h * w)]
    : [Math.trunc(MAX_EDGE / w * h), MAX_EDGE];
}

/** Computes f(position · frequency) for each of `count` tokens along one edge. */
function axis(
  f: (angle: number) => number,
  frequencies: Float32Array,
  count: number,
  edge: number,
  mode: RopeMode,
): Float32Array[] {
  const at = (position: number) => frequencies.map((theta) => f(Math.fround(position * theta)));
  return Array.from({ length: count }, (_, i) => {
    if (mode === 0) return at(i);
    if (mode === 2) return at(roundHalfEven(Math.fround(i * Math.fround(edge / count))));
    // bilinear with align_corners, which is linear here: the tables of an edge do not vary along the other one.
    // torch uses fma: the step is float32, its product exact
    const step = count > 1 ? Math.fround((edge - 1) / (count - 1)) : 0;
    const position = i * step;
    const low = Math.min(Math.floor(position), edge - 1);
    const next = at(Math.min(low + 1, edge - 1));
    const part = position - low;
    return at(low).map((value, j) => value * (1 - part) + next[j]! * part);
  });
}
