/**
 * Proves attention in one pass on an adapter: its tensor cores have been wrong in silence before.
 *
 * @module
 */

import type { Device, Tensor } from "../../engine/mod.ts";
import { attention, type AttentionArgs } from "./attention.ts";

/** Extents of a {@link peakedAttention}. */
export interface PeakedSize {
  /** Number of queries. */
  readonly queries: number;
  /** Number of keys, at least 16. */
  readonly keys: number;
  /** Number of heads. */
  readonly heads: number;
  /** Channels per head. */
  readonly headDim: number;
  /** Length of the queries: the sharper, the larger are maxima and the later they come. */
  readonly sharpness: number;
}

/** Largest error of an element, over the root mean square of all, that operands rounded to f16 explain. */
export const F16_TOLERANCE = 5e-3;

/** What {@link provesOnePass} attends to: a common case, and one that rescales often over a long span. */
const CASES = [
  { queries: 200, keys: 521, sharpness: 20 },
  { queries: 40, keys: 1497, sharpness: 100 },
] as const;

/**
 * Makes cosine attention in f16 whose keys are ever more like a query, the most alike last, with y in f32. A kernel
 * that rescales its sums wrongly, or reads weights from the wrong place, is wrong there by far more than rounding. The
 * caller owns the tensors.
 */
export function peakedAttention(
  device: Device,
  { queries, keys, heads, headDim, sharpness }: PeakedSize,
): AttentionArgs {
  const C = heads * headDim;
  const random = units(headDim);
  const q = random(queries * C), k = random(keys * C), v = random(keys * C);
  for (let n = 1; n <= 16; n++) {
    const key = Math.floor(keys * n / 16) - 1, query = n * 29 % queries, like = n / 16;
    for (let c = 0; c < C; c++) {
      const other = Math.sqrt(1 - like * like) * k[key * C + c]!;
      k[key * C + c] = like * q[query * C + c]! + other;
    }
  }
  const half = (rows: number, x: Float32Array): Tensor =>
    device.from("f16", [rows, C], new Float16Array(x));
  return {
    q: half(queries, q.map((x) => sharpness * x)),
    k: half(keys, k),
    v: half(keys, v),
    y: device.tensor("f32", [queries, C]),
    spans: device.from("u32", [1, 4], Uint32Array.of(0, queries, 0, keys)),
    maxQueries: queries,
    heads,
    headDim,
    scale: 1,
  };
}

/** Returns a function that makes vectors of length 1 in random directions. */
function units(length: number): (count: number) => Float32Array {
  let state = 1;
  const next = () => (state = Math.imul(state, 1664525) + 1013904223 | 0) / 2 ** 31;
  return (count) => {
    // a sum of uniform numbers is nearly normal
    const x = new Float32Array(count).map(() => next() + next() + next());
    for (let at = 0; at < count; at += length) {
      const one = x.subarray(at, at + length);
      const norm = Math.sqrt(one.reduce((sum, value) => sum + value * value, 0));
      for (let i = 0; i < length; i++) one[i]! /= norm;
    }
    return x;
  };
}

/** Largest error of an element, over the root mean square of what is right; NaN if there is one. */
export function worstError(actual: Float32Array, right: Float32Array): number {
  let worst = 0;
  let squares = 0;
  for (let i = 0; i < right.length; i++) {
    worst = Math.max(worst, Math.abs(actual[i]! - right[i]!)); // NaN stays
    squares += right[i]! ** 2;
  }
  return worst / Math.sqrt(squares / right.length);
}

/**
 * Whether the variant `one-pass` computes what the plain f32 kernel does for heads of this width. `attend` is what to
 * prove, for tests.
 *
 * @throws {KernelError} `no-matrices`: the device has no tensor cores for it.
 */
export async function provesOnePass(
  device: Device,
  headDim: number,
  attend: (args: AttentionArgs) => void = (args) =>
    attention(device, { ...args, variant: "one-pass" }),
): Promise<boolean> {
  for (const size of CASES) {
    const args = peakedAttention(device, { ...size, heads: 2, headDim });
    const { q, k, v, y, spans } = args;
    const made = async (run: () => void) => {
      device.upload(y, new Float32Array(y.elements).fill(NaN));
      run();
      return await device.read(y) as Float32Array;
    };
    try {
      const found = await made(() => attend(args));
      const right = await made(() => attention(device, { ...args, variant: "workgroup" }));
      if (!(worstError(found, right) <= F16_TOLERANCE)) return false;
    } finally {
      for (const tensor of [q, k, v, y, spans]) tensor.dispose();
    }
  }
  return true;
}
