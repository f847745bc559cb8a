/**
 * What tests of attention share: cases, and their results in float64.
 *
 * @module
 */

import type { Tensor, TensorDType } from "../../../engine/mod.ts";
import type { AttentionArgs } from "../../../kernels/attention/attention.ts";
import { poisoned, random, upload, values } from "../harness.ts";

/** As the rows of `spans` are. */
export type Span = [qStart: number, qCount: number, kStart: number, kCount: number];

/** Rows of q, k and v wherever they are, and spans over them. */
export interface Case {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  qAt: (row: number) => number;
  kAt: (row: number) => number;
  vAt: (row: number) => number;
  rows: number;
  heads: number;
  headDim: number;
  scale: number;
  spans: Span[];
  bias?: (distance: number, head: number) => number;
}

/** Computes in float64. Rows outside all spans are NaN, as if poisoned. */
export function reference(c: Case): Float64Array {
  const { heads, headDim } = c;
  const y = new Float64Array(c.rows * heads * headDim).fill(NaN);
  for (const [qStart, qCount, kStart, kCount] of c.spans) {
    for (let i = 0; i < qCount; i++) {
      for (let h = 0; h < heads; h++) {
        const qBase = c.qAt(qStart + i) + h * headDim;
        const logits = Array.from({ length: kCount }, (_, j) => {
          const kBase = c.kAt(kStart + j) + h * headDim;
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += c.q[qBase + d]! * c.k[kBase + d]!;
          return dot * c.scale + (c.bias?.(j - i, h) ?? 0);
        });
        const most = Math.max(...logits);
        const weights = logits.map((x) => Math.exp(x - most));
        const sum = weights.reduce((a, b) => a + b, 0) || 1;
        for (let d = 0; d < headDim; d++) {
          let x = 0;
          weights.forEach((w, j) => x += w * c.v[c.vAt(kStart + j) + h * headDim + d]!);
          y[((qStart + i) * heads + h) * headDim + d] = x / sum;
        }
      }
    }
  }
  return y;
}

/** The tensor of spans. */
export function spansTensor(spans: Span[]): Tensor {
  return upload("u32", [spans.length, 4], spans.flat());
}

const most = (spans: Span[]) => Math.max(...spans.map((s) => s[1]));

/** Random q, k and v in tensors of their own, the latter of dtype `kv`, and the expected result. */
export function separate(
  seed: number,
  {
    heads,
    headDim,
    qRows,
    kRows,
    spans,
    dtype = "f32",
    kv = dtype,
    output = dtype,
    scale = 1 / Math.sqrt(headDim),
    spread = 3,
  }: {
    heads: number;
    headDim: number;
    qRows: number;
    kRows: number;
    spans: Span[];
    dtype?: TensorDType;
    kv?: TensorDType;
    output?: TensorDType;
    scale?: number;
    spread?: number;
  },
): { args: AttentionArgs; expected: Float64Array } {
  const next = random(seed), C = heads * headDim;
  const round = dtype === "f16" ? Math.f16round : Math.fround;
  const q = values(next, qRows * C, dtype).map((x) => round(x * spread));
  const k = values(next, kRows * C, kv), v = values(next, kRows * C, kv);
  const at = (row: number) => row * C;
  return {
    args: {
      q: upload(dtype, [qRows, C], q),
      k: upload(kv, [kRows, C], k),
      v: upload(kv, [kRows, C], v),
      y: poisoned(output, [qRows, C]),
      spans: spansTensor(spans),
      maxQueries: most(spans),
      heads,
      headDim,
      scale,
    },
    expected: reference({
      q,
      k,
      v,
      qAt: at,
      kAt: at,
      vAt: at,
      rows: qRows,
      heads,
      headDim,
      scale,
      spans,
    }),
  };
}

/** The bytes of an array. */
export const bits = (data: ArrayBufferView) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** q, k and v in one tensor, with relative bias, as in the text encoder. */
export function joint(): { args: AttentionArgs; expected: Float64Array } {
  const next = random(7), heads = 3, headDim = 32, C = heads * headDim, rows = 30, far = 6;
  const spans: Span[] = [[0, 19, 0, 19], [19, 11, 19, 11]];
  const qkv = values(next, rows * 3 * C), table = values(next, 5 * heads).map((x) => 4 * x);
  const bucketOf = Array.from({ length: 2 * far + 1 }, (_, i) => (i * 3) % 5);
  const tensor = upload("f32", [rows, 3 * C], qkv);
  const shape = { heads, headDim, scale: 1 };
  return {
    args: {
      ...shape,
      q: tensor,
      k: tensor,
      v: tensor,
      y: poisoned("f32", [rows, C]),
      spans: spansTensor(spans),
      maxQueries: 19,
      qStride: 3 * C,
      kStride: 3 * C,
      kOffset: C,
      vStride: 3 * C,
      vOffset: 2 * C,
      bias: {
        table: upload("f32", [5, heads], table),
        bucketOf: upload("u32", [2 * far + 1], bucketOf),
        centre: far,
      },
    },
    expected: reference({
      ...shape,
      q: qkv,
      k: qkv,
      v: qkv,
      qAt: (row) => row * 3 * C,
      kAt: (row) => row * 3 * C + C,
      vAt: (row) => row * 3 * C + 2 * C,
      rows,
      spans,
      bias: (distance, h) =>
        table[bucketOf[Math.min(Math.max(far + distance, 0), 2 * far)]! * heads + h]!,
    }),
  };
}

/**
 * Queries of length `sharpness` and keys of length 1, as in cosine attention: the larger, the fewer keys count. `late`:
 * some keys are ever more like a query of the first span, and the most alike comes last, so that maxima grow until the
 * end.
 */
export function sharp(
  { sharpness, late = false, heads = 2, headDim, spans = SHARP_SPANS, dtype }: {
    sharpness: number;
    late?: boolean;
    heads?: number;
    headDim: number;
    spans?: readonly Span[];
    dtype: "f32" | "f16";
  },
): { args: AttentionArgs; expected: Float64Array; name: string } {
  const next = random(sharpness + 1), C = heads * headDim;
  const round = dtype === "f16" ? Math.f16round : Math.fround;
  const qRows = Math.max(...spans.map(([first, n]) => first + n));
  const kRows = Math.max(...spans.map(([, , first, n]) => first + n));
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const units = (rows: number) => {
    const x = Float64Array.from({ length: rows * C }, normal);
    for (let at = 0; at < x.length; at += headDim) {
      const one = x.subarray(at, at + headDim), length = Math.hypot(...one);
      one.forEach((value, d) => one[d] = value / length);
    }
    return x;
  };
  const q = units(qRows), k = units(kRows);
  const [[, queries, , keys]] = spans as [Span];
  for (let n = 0; late && n < 16; n++) {
    const key = Math.floor(keys * (n + 1) / 16) - 1, query = n * 29 % queries, like = (n + 1) / 16;
    for (let c = 0; c < C; c++) {
      const other = Math.sqrt(1 - like * like) * k[key * C + c]!;
      k[key * C + c] = like * q[query * C + c]! + other;
    }
  }
  const [qs, ks, v] = [
    q.map((x) => round(sharpness * x)),
    k.map(round),
    values(next, kRows * C, dtype),
  ];
  const at = (row: number) => row * C;
  return {
    args: {
      q: upload(dtype, [qRows, C], qs),
      k: upload(dtype, [kRows, C], ks),
      v: upload(dtype, [kRows, C], v),
      y: poisoned("f32", [qRows, C]),
      spans: spansTensor([...spans]),
      maxQueries: most([...spans]),
      heads,
      headDim,
      scale: 1,
    },
    expected: reference({
      q: qs,
      k: ks,
      v,
      qAt: at,
      kAt: at,
      vAt: at,
      rows: qRows,
      heads,
      headDim,
      scale: 1,
      spans: [...spans],
    }),
    name: `sharpness ${sharpness}${late ? ", late maxima" : ""}`,
  };
}

/** Spans of {@link sharp}: several tiles, odd numbers, few queries of many keys. */
export const SHARP_SPANS: readonly Span[] = [[0, 90, 0, 503], [90, 31, 503, 57], [
  121,
  5,
  560,
  5003,
]];

/** Cases of {@link sharp} that every variant must pass. */
export const SHARP = [
  { sharpness: 4 },
  { sharpness: 20 },
  { sharpness: 20, late: true },
  { sharpness: 100 },
  { sharpness: 100, late: true },
] as const;
