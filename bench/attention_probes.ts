import type { Device, Tensor } from "../engine/mod.ts";
import { attention } from "../kernels/attention/attention.ts";
import { onePass } from "../kernels/attention/attention_one_pass.ts";
import type { Tensors } from "./kernels.ts";

/**
 * Scales of the 2B model at 1024², each with a sharpness, the length of its queries: the sharper, the larger are maxima
 * and the later they come. 4096 × 10521 is the last scale.
 */
const SCALES = [
  { queries: 16, keys: 21, sharpness: 4 },
  { queries: 256, keys: 521, sharpness: 20 },
  { queries: 1024, keys: 2521, sharpness: 100 },
  { queries: 4096, keys: 10521, sharpness: 100 },
] as const;

/** Largest error of an element, over the root mean square of all, that operands rounded to f16 explain. */
const TOLERANCE = 5e-3;

/**
 * Probes of the choice "attention matrix": cosine attention in f16, where some keys are ever more like a query and the
 * most alike comes last. A kernel that rescales its sums wrongly, or reads weights from the wrong place, is wrong there
 * by far more than rounding. Proved by the plain f32 kernel.
 */
export function onePassProbes(device: Device) {
  const [heads, headDim] = [16, 128];
  if (!onePass(device, headDim)) return [];
  return SCALES.map(({ queries, keys, sharpness }) => ({
    size: queries,
    label: `${heads} heads, ${queries} q, ${keys} k, hd ${headDim}, f16, sharpness ${sharpness}`,
    setup(device: Device, t: Tensors) {
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
        t.use(device.from("f16", [rows, C], new Float16Array(x)));
      const y = t.use(device.tensor("f32", [queries, C]));
      const spans = t.u32([1, 4], (i) => [0, queries, 0, keys][i]!);
      const args = {
        q: half(queries, q.map((x) => sharpness * x)),
        k: half(keys, k),
        v: half(keys, v),
        y,
        spans,
        maxQueries: queries,
        heads,
        headDim,
        scale: 1,
      };
      const plain = () => attention(device, { ...args, variant: "workgroup" });
      return { run: () => attention(device, args), y, plain, tolerance: TOLERANCE };
    },
  }));
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
