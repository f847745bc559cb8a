/**
 * Cases of qkvRope() and qkvRopeBackward(), and their results in float64.
 *
 * @module
 */

import type { Tensor, TensorDType } from "../../../engine/mod.ts";
import type { QkvRopeArgs } from "../../../kernels/attention/qkv_rope.ts";
import type { QkvRopeBackwardArgs } from "../../../kernels/attention/qkv_rope_backward.ts";
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
  /** Factor of qkv; 1 if absent. */
  size?: number;
}

/** Random operands of a call. */
export function build(seed: number, c: Case) {
  const { batch, rows, heads, headDim, dtype } = c;
  const next = random(seed), C = heads * headDim, half = headDim / 2;
  const positions = c.ropeStart + rows;
  const { size = 1 } = c;
  const qkv = values(next, batch * rows * 3 * C, dtype);
  qkv.forEach((x, i) => qkv[i] = Math.fround(size * x));
  const angles = values(next, positions * half).map((x) => 4 * x);
  const cos = angles.map((x) => Math.fround(Math.cos(x)));
  const sin = angles.map((x) => Math.fround(Math.sin(x)));
  const scaleMul = Float64Array.from({ length: heads }, (_, h) => Math.fround(h === 0 ? 5 : h / 2));
  const args: QkvRopeArgs & { vCache: Tensor } = {
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
export function reference(
  c: Case,
  { qkv, cos, sin, scaleMul }: Omit<ReturnType<typeof build>, "args">,
) {
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

/** Computes in float64: gradients of qkv and scaleMul, by those of q, k and v. */
export function backwardReference(
  c: Case,
  { qkv, cos, sin, scaleMul }: Omit<ReturnType<typeof build>, "args">,
  dq: Float64Array,
  dk: Float64Array,
  dv: Float64Array,
): { qkv: Float64Array; scaleMul: Float64Array } {
  const { batch, rows, heads, headDim } = c, C = heads * headDim, half = headDim / 2;
  const dqkv = new Float64Array(qkv.length), dScaleMul = new Float64Array(heads);
  for (let row = 0; row < batch * rows; row++) {
    for (let h = 0; h < heads; h++) {
      for (const [part, from] of [dq, dk].entries()) {
        const at = row * C + h * headDim, to = row * 3 * C + part * C + h * headDim;
        const w = from.slice(at, at + headDim);
        for (let i = 0; i < half; i++) {
          const angle = (c.ropeStart + row % rows) * half + i;
          const [a, b] = [w[2 * i]!, w[2 * i + 1]!];
          w[2 * i] = cos[angle]! * a + sin[angle]! * b;
          w[2 * i + 1] = cos[angle]! * b - sin[angle]! * a;
        }
        const x = qkv.slice(to, to + headDim);
        const norm = Math.hypot(...x), by = 1 / Math.max(norm, 1e-12);
        const scale = part === 0 ? Math.exp(Math.min(scaleMul[h]!, Math.log(100))) : 1;
        const along = norm > 1e-12 ? w.reduce((sum, value, d) => sum + value * x[d]! * by, 0) : 0;
        if (c.cosine) w.forEach((value, d) => w[d] = scale * by * (value - along * x[d]! * by));
        if (part === 0 && scaleMul[h]! <= Math.log(100)) dScaleMul[h]! += scale * along;
        dqkv.set(w, to);
      }
      const at = row * C + h * headDim;
      dqkv.set(dv.subarray(at, at + headDim), row * 3 * C + 2 * C + h * headDim);
    }
  }
  return { qkv: dqkv, scaleMul: dScaleMul };
}

/** A call with random operands, and what its gradients must be; they are NaN if nothing is added to them. */
export function buildBackward(seed: number, c: Case, add: boolean) {
  const { args: forward, ...built } = build(seed, c);
  const next = random(seed + 1), C = c.heads * c.headDim, rows = c.batch * c.rows;
  const of = c.cacheDtype as "f32" | "f16" | undefined ?? c.dtype;
  const [dq, dk, dv] = [0, 1, 2].map(() => values(next, rows * C, of)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const dkv = Float64Array.from(
    { length: rows * 2 * C },
    (_, i) => [dk, dv][Math.floor(i / C) % 2]![Math.floor(i / 2 / C) * C + i % C]!,
  );
  const before = values(next, rows * 3 * C, of), own = values(next, c.heads);
  const expected = backwardReference(c, built, dq, dk, dv);
  if (add) {
    expected.qkv.forEach((x, i) => expected.qkv[i] = x + before[i]!);
    expected.scaleMul.forEach((x, h) => expected.scaleMul[h] = x + own[h]!);
  }
  const to = (dtype: TensorDType, shape: readonly number[], data: Float64Array) => ({
    tensor: add ? upload(dtype, shape, data) : poisoned(dtype, shape),
    add,
  });
  const args: QkvRopeBackwardArgs = {
    ...forward,
    dq: upload(of, [rows, C], dq),
    dkv: upload(of, [rows, 2 * C], dkv),
    dqkv: to(of, [rows, 3 * C], before),
    dScaleMul: c.cosine ? to("f32", [1, 1, c.heads, 1], own) : null,
  };
  return { args, expected, built, dq, dk, dv };
}
