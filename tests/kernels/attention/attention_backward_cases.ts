/**
 * What tests of attentionBackward() share: cases, and their results in float64.
 *
 * @module
 */

import type { Tensor } from "../../../engine/mod.ts";
import type { AttentionBackwardArgs } from "../../../kernels/attention/attention_backward.ts";
import { spanLayout } from "../../../kernels/attention/attention_spans.ts";
import type { Gradient } from "../../../kernels/shared/gradient.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";
import { type Case, reference, type Span } from "./attention_cases.ts";

/** Sizes, types and places of a call. */
export interface Shape {
  readonly heads: number;
  readonly headDim: number;
  readonly spans: readonly Span[];
  /** Of q, and of its gradient. */
  readonly dtype?: "f32" | "f16";
  /** Of k, v and their gradients. */
  readonly kv?: "f32" | "f16";
  /** Of dy. */
  readonly dy?: "f32" | "f16";
  readonly scale?: number;
  /** Whether gradients are added to. */
  readonly add?: boolean;
  /** `kv`: keys and values in one tensor; `qkv`: all in one. */
  readonly packed?: "kv" | "qkv";
  /** Buckets of a bias. */
  readonly buckets?: number;
  /** Factor of q. */
  readonly spread?: number;
}

/** Gradients of a case in float64, with what they are added to. */
export interface Gradients {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly table: Float64Array;
}

/** Computes in float64: the gradients of Σ dy · attention(q, k, v), of q, k and v [rows, C] and the bias [distance][head]. */
export function backwardReference(
  c: Case,
  dy: Float64Array,
): { q: Float64Array; k: Float64Array; v: Float64Array; bias: Map<number, Float64Array> } {
  const { heads, headDim } = c;
  const q = new Float64Array(c.q.length), k = new Float64Array(c.k.length);
  const v = new Float64Array(c.v.length), bias = new Map<number, Float64Array>();
  const dot = (a: Float64Array, at: number, b: Float64Array, bt: number) => {
    let sum = 0;
    for (let d = 0; d < headDim; d++) sum += a[at + d]! * b[bt + d]!;
    return sum;
  };
  for (const [qStart, qCount, kStart, kCount] of c.spans) {
    for (let i = 0; i < qCount; i++) {
      for (let h = 0; h < heads; h++) {
        const from = c.qAt(qStart + i) + h * headDim;
        const out = ((qStart + i) * heads + h) * headDim;
        const key = (j: number) => c.kAt(kStart + j) + h * headDim;
        const value = (j: number) => c.vAt(kStart + j) + h * headDim;
        const logits = Float64Array.from(
          { length: kCount },
          (_, j) => dot(c.q, from, c.k, key(j)) * c.scale + (c.bias?.(j - i, h) ?? 0),
        );
        const most = Math.max(...logits);
        const weights = logits.map((x) => Math.exp(x - most));
        const sum = weights.reduce((a, b) => a + b, 0);
        const p = weights.map((x) => x / sum);
        const dp = p.map((_, j) => dot(dy, out, c.v, value(j)));
        const mean = p.reduce((all, x, j) => all + x * dp[j]!, 0);
        p.forEach((x, j) => {
          const ds = x * (dp[j]! - mean);
          const row = bias.get(j - i) ?? new Float64Array(heads);
          row[h]! += ds;
          bias.set(j - i, row);
          for (let d = 0; d < headDim; d++) {
            q[from + d]! += c.scale * ds * c.k[key(j) + d]!;
            k[key(j) + d]! += c.scale * ds * c.q[from + d]!;
            v[value(j) + d]! += x * dy[out + d]!;
          }
        });
      }
    }
  }
  return { q, k, v, bias };
}

/** A call with random operands, and what its gradients must be. Gradients are NaN if nothing is added to them. */
export function build(seed: number, shape: Shape) {
  const { heads, headDim, spans, dtype = "f32", kv = dtype, packed, add = false } = shape;
  const { scale = 1 / Math.sqrt(headDim), buckets = 0, spread = 2 } = shape;
  const next = random(seed), C = heads * headDim;
  const qRows = Math.max(...spans.map(([first, n]) => first + n));
  const kRows = Math.max(...spans.map(([, , first, n]) => first + n), 1);
  const round = { f32: Math.fround, f16: Math.f16round };
  const q = values(next, qRows * C, dtype).map((x) => round[dtype](spread * x));
  const k = values(next, kRows * C, kv), v = values(next, kRows * C, kv);
  const dy = values(next, qRows * C, shape.dy ?? dtype);
  const at = (row: number) => row * C;
  const far = 6;
  const table = values(next, buckets * heads);
  const bucketOf = Array.from({ length: 2 * far + 1 }, (_, i) => (i * 7) % buckets);
  const bucket = (distance: number) => bucketOf[Math.min(Math.max(far + distance, 0), 2 * far)]!;
  const c: Case = {
    ...{ q, k, v, qAt: at, kAt: at, vAt: at, rows: qRows, heads, headDim, scale },
    spans: spans as Span[],
    ...buckets && { bias: (distance: number, h: number) => table[bucket(distance) * heads + h]! },
  };
  const found = backwardReference(c, dy);
  const dTable = new Float64Array(buckets * heads);
  for (const [distance, row] of found.bias) {
    if (buckets) row.forEach((x, h) => dTable[bucket(distance) * heads + h]! += x);
  }
  const parts = packed === "qkv"
    ? [["q", "k", "v"]] as const
    : packed === "kv"
    ? [["q"], ["k", "v"]] as const
    : [["q"], ["k"], ["v"]] as const;
  const data = { q, k, v }, made = { q: found.q, k: found.k, v: found.v };
  const tensors: Record<
    string,
    { value: Tensor; gradient: Gradient; offset: number; stride: number }
  > = {};
  const expected: { name: string; tensor: Tensor; expected: Float64Array }[] = [];
  for (const names of parts) {
    const rows = Math.max(...names.map((name) => data[name].length / C));
    const stride = names.length * C, type = names[0] === "q" ? dtype : kv;
    const join = (of: Record<"q" | "k" | "v", Float64Array>) => {
      const all = new Float64Array(rows * stride);
      names.forEach((name, n) =>
        of[name].forEach((x, i) => all[Math.floor(i / C) * stride + n * C + i % C] = x)
      );
      return all;
    };
    const before = values(next, rows * stride, type);
    const tensor = add ? upload(type, [rows, stride], before) : poisoned(type, [rows, stride]);
    const value = upload(type, [rows, stride], join(data));
    names.forEach((name, n) =>
      tensors[name] = { value, gradient: { tensor, add }, offset: n * C, stride }
    );
    const sum = join(made);
    if (add) sum.forEach((x, i) => sum[i] = x + before[i]!);
    expected.push({ name: names.join(), tensor, expected: sum });
  }
  let dTableGradient: Gradient | null = null;
  if (buckets) {
    const before = values(next, dTable.length);
    const tensor = add
      ? upload("f32", [buckets, heads], before)
      : poisoned("f32", [buckets, heads]);
    dTableGradient = { tensor, add };
    if (add) dTable.forEach((x, i) => dTable[i] = x + before[i]!);
    expected.push({ name: "table", tensor, expected: dTable });
  }
  const { q: toQ, k: toK, v: toV } = tensors as Record<"q" | "k" | "v", (typeof tensors)[string]>;
  const args: AttentionBackwardArgs = {
    q: toQ.value,
    k: toK.value,
    v: toV.value,
    dy: upload(shape.dy ?? dtype, [qRows, C], dy),
    layout: spanLayout(device, spans),
    heads,
    headDim,
    scale,
    qStride: toQ.stride,
    qOffset: toQ.offset,
    kStride: toK.stride,
    kOffset: toK.offset,
    vStride: toV.stride,
    vOffset: toV.offset,
    dq: toQ.gradient,
    dk: toK.gradient,
    dv: toV.gradient,
    ...buckets && {
      bias: {
        table: upload("f32", [buckets, heads], table),
        bucketOf: upload("u32", [2 * far + 1], bucketOf),
        centre: far,
      },
      dTable: dTableGradient,
    },
  };
  return { args, expected, case: c, dy, table, bucket, dTable };
}

/** The forward pass as a function of q, k, v and the biases, for central differences. */
export function forward(c: Case, q: Float64Array, k: Float64Array, v: Float64Array): Float64Array {
  return reference({ ...c, q, k, v });
}

/** Spans of `batch` sequences of scales, each of which attends to itself and to all before it. */
export function scales(batch: number, tokens: readonly number[]): Span[] {
  const rows = tokens.reduce((a, b) => a + b, 0);
  return Array.from({ length: batch }, (_, b) => {
    let start = 0;
    return tokens.map((n): Span => {
      start += n;
      return [b * rows + start - n, n, b * rows, start];
    });
  }).flat();
}
