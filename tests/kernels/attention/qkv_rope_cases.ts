/**
 * Cases of qkvRope(), and their results in float64.
 *
 * @module
 */

import type { TensorDType } from "../../../engine/mod.ts";
import type { QkvRopeArgs } from "../../../kernels/attention/qkv_rope.ts";
import { poisoned, random, upload, values } from "../harness.ts";

/** Sizes, dtypes and places of a call. */
export interface Case {
  batch: number;
  rows: number;
  heads: number;
  headDim: number;
  cosine: boolean;
  /** Of qkv and q. */
  dtype: "f32" | "f16";
  cacheDtype?: TensorDType;
  cacheRows: number;
  cacheStart: number;
  ropeStart: number;
}

/** Random operands of a call. */
export function build(seed: number, c: Case) {
  const { batch, rows, heads, headDim, dtype } = c;
  const next = random(seed), C = heads * headDim, half = headDim / 2;
  const positions = c.ropeStart + rows;
  const qkv = values(next, batch * rows * 3 * C, dtype);
  const angles = values(next, positions * half).map((x) => 4 * x);
  const cos = angles.map((x) => Math.fround(Math.cos(x)));
  const sin = angles.map((x) => Math.fround(Math.sin(x)));
  const scaleMul = Float64Array.from({ length: heads }, (_, h) => Math.fround(h === 0 ? 5 : h / 2));
  const args: QkvRopeArgs = {
    qkv: upload(dtype, [batch * rows, 3 * C], qkv),
    q: poisoned(dtype, [batch * rows, C]),
    kCache: poisoned(c.cacheDtype ?? dtype, [batch, c.cacheRows, C]),
    vCache: poisoned(c.cacheDtype ?? dtype, [batch, c.cacheRows, C]),
    rope: {
      cos: upload("f32", [positions, half], cos),
      sin: upload("f32", [positions, half], sin),
    },
    scaleMul: c.cosine ? upload("f32", [1, 1, heads, 1], scaleMul) : null,
    ...c,
  };
  return { args, qkv, cos, sin, scaleMul };
}

/** Computes in float64: q, and the new rows of the caches of k and v. */
export function reference(c: Case, { qkv, cos, sin, scaleMul }: ReturnType<typeof build>) {
  const { batch, rows, heads, headDim } = c, C = heads * headDim, half = headDim / 2;
  const [q, k, v] = [0, 1, 2].map((part) => {
    const out = new Float64Array(batch * rows * C);
    for (let row = 0; row < batch * rows; row++) {
      for (let h = 0; h < heads; h++) {
        const base = row * 3 * C + part * C + h * headDim;
        const x = qkv.slice(base, base + headDim);
        if (part < 2) {
          const norm = Math.max(Math.hypot(...x), 1e-12);
          const scale = part === 0 ? Math.exp(Math.min(scaleMul[h]!, Math.log(100))) : 1;
          if (c.cosine) x.forEach((value, d) => x[d] = value / norm * scale);
          for (let i = 0; i < half; i++) {
            const angle = (c.ropeStart + row % rows) * half + i;
            const [a, b] = [x[2 * i]!, x[2 * i + 1]!];
            x[2 * i] = cos[angle]! * a - sin[angle]! * b;
            x[2 * i + 1] = sin[angle]! * a + cos[angle]! * b;
          }
        }
        out.set(x, row * C + h * headDim);
      }
    }
    return out;
  });
  return { q: q!, k: k!, v: v! };
}
