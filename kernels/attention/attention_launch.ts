/**
 * What the variants of {@link attention} share: arguments, declarations, and the dispatch itself.
 *
 * @module
 */

import {
  defineKernel,
  type Device,
  type Kernel,
  memoised,
  type Specialisation,
  type Tensor,
  type Texture,
} from "../../engine/mod.ts";
import { narrowLines } from "../shared/narrow.ts";
import declarations from "./attention_bindings.wgsl" with { type: "text" };
import buffers from "./attention_buffers.wgsl" with { type: "text" };
import textures from "./attention_textures.wgsl" with { type: "text" };

const BINDINGS = ["k", "v", "q", "spans", "bias_table", "bias_bucket", "y"] as const;
const PARAMS = [
  "q_stride",
  "q_offset",
  "k_stride",
  "k_offset",
  "v_stride",
  "v_offset",
  "heads",
  "bias_centre",
  "bias_last",
  "scale",
] as const;

/** T5's relative position bias: logit += table[bucketOf[centre + key − query], head]. */
export interface RelativeBias {
  /** [buckets, heads] f32. */
  readonly table: Tensor;
  /** u32, the bucket of each distance; distances beyond either end take the bucket at that end. */
  readonly bucketOf: Tensor;
  /** Index in `bucketOf` of the distance 0. */
  readonly centre: number;
}

/**
 * - `workgroup`: runs on any adapter, with at most 8 queries for each workgroup.
 * - `tiles`: runs where there is workgroup memory for tiles of 64 or 128 queries.
 * - `subgroup`: a workgroup is one subgroup of a fixed size, and keys and values come from buffers.
 * - `texture`: the same, but keys and values are first copied to textures, which pays where many queries read them.
 * - `two-pass`: tensor cores, which take queries, keys, values and weights as f16.
 * - `one-pass`: the same in one pass over the keys.
 */
export type AttentionVariant =
  | "workgroup"
  | "tiles"
  | "subgroup"
  | "texture"
  | "two-pass"
  | "one-pass";

/** Arguments of {@link attention}. Strides and offsets count elements and are divisible by 4. */
export interface AttentionArgs {
  /** Rows of heads · headDim, f32 or f16. */
  readonly q: Tensor;
  /** Rows of keys, f32 or f16. */
  readonly k: Tensor;
  /** Rows of values, of the dtype of k; may be the same tensor as k and q. */
  readonly v: Tensor;
  /** [rows, heads · headDim] f32 or f16; rows outside all spans keep their values. */
  readonly y: Tensor;
  /** u32 [n, 4]: first row of q and y, number of queries, first row of k and v, number of keys. */
  readonly spans: Tensor;
  /** Number of queries of the longest span. */
  readonly maxQueries: number;
  /** Number of keys of the longest span; unknown if absent. Few save time, and change no bits. */
  readonly maxKeys?: number;
  /**
   * Queries of one sequence: choices that change the order of sums are made by them, so that the bits of a sequence do
   * not depend on the batch. `maxQueries` if absent, which is right where all sequences of a batch are as long.
   */
  readonly rows?: number;
  /** Number of heads. */
  readonly heads: number;
  /** Channels per head: divisible by 4, at most 256. */
  readonly headDim: number;
  /** Multiplies q · k. */
  readonly scale: number;
  /** From one row of q to the next; heads · headDim if absent. */
  readonly qStride?: number;
  /** Start of the first row of q; 0 if absent. */
  readonly qOffset?: number;
  /** From one row of k to the next; heads · headDim if absent. */
  readonly kStride?: number;
  /** Start of the first row of k; 0 if absent. */
  readonly kOffset?: number;
  /** From one row of v to the next; heads · headDim if absent. */
  readonly vStride?: number;
  /** Start of the first row of v; 0 if absent. */
  readonly vOffset?: number;
  /** None if absent. */
  readonly bias?: RelativeBias;
  /** Logits per head: queries times keys, summed over spans. Only profiles use it. */
  readonly scoreCount?: number;
  /** Chosen by the adapter if absent. Tests set it. */
  readonly variant?: AttentionVariant;
}

/** The strides and offsets of {@link AttentionArgs}, defaults filled in. */
export function attentionLayout(
  args: Pick<
    AttentionArgs,
    | "heads"
    | "headDim"
    | "qStride"
    | "kStride"
    | "vStride"
    | "qOffset"
    | "kOffset"
    | "vOffset"
  >,
) {
  const width = args.heads * args.headDim;
  const { qStride = width, kStride = width, vStride = width } = args;
  const { qOffset = 0, kOffset = 0, vOffset = 0 } = args;
  return { qStride, kStride, vStride, qOffset, kOffset, vOffset };
}

/** A kernel of attention. */
export type AttentionKernel = Kernel<(typeof BINDINGS)[number], (typeof PARAMS)[number]>;

/** Defines a variant: where it reads keys and values, what all variants declare, and its own text. */
export function defineAttention(
  name: string,
  operands: "buffers" | "textures",
  body: string,
): AttentionKernel {
  const source = [{ buffers, textures }[operands], declarations, body].join("\n");
  return defineKernel(name, source, BINDINGS, PARAMS);
}

/** What attention_buffers.wgsl is specialised by where keys and values of `dtype` are loaded as f32. */
export const LOAD_F32 = {
  f32: {
    specialise: { KV: "vec4<f32>", Loaded: "vec4<f32>" },
    functions: "fn unpack(x: KV) -> Loaded { return x; }",
  },
  f16: {
    specialise: { KV: "vec2<u32>", Loaded: "vec4<f32>" },
    functions:
      "fn unpack(x: KV) -> Loaded { return vec4(unpack2x16float(x.x), unpack2x16float(x.y)); }",
  },
} as const;

/** How a variant runs. */
export interface AttentionLaunch {
  /** What runs. */
  readonly kernel: AttentionKernel;
  /** Queries that a workgroup takes. */
  readonly queries: number;
  /** Keys, as the kernel reads them. */
  readonly k: Tensor | Texture;
  /** Values, as the kernel reads them. */
  readonly v: Tensor | Texture;
  /** The variant's own constants and types. */
  readonly specialise: Specialisation;
  /** The variant's own functions. */
  readonly functions: string;
}

/** Functions of a variant, and how it stores y. */
const withNarrow = memoised((functions: string, dtype: string): string =>
  `${narrowLines(dtype)}\n${functions}`
);

/** Dispatches a variant: workgroups are tiles of queries × heads × spans. */
export function launchAttention(
  device: Device,
  args: AttentionArgs,
  launch: AttentionLaunch,
): void {
  const { q, y, spans, maxQueries, heads, headDim, bias, scale, scoreCount = 0 } = args;
  const layout = attentionLayout(args);
  device.run(launch.kernel, {
    specialise: {
      Q: `vec4<${q.dtype}>`,
      Y: `vec4<${y.dtype}>`,
      VECTORS: headDim / 4,
      BIAS: bias !== undefined,
      ...launch.specialise,
    },
    functions: withNarrow(launch.functions, y.dtype),
    bind: {
      k: launch.k,
      v: launch.v,
      q,
      spans,
      bias_table: bias?.table ?? null,
      bias_bucket: bias?.bucketOf ?? null,
      y,
    },
    params: {
      q_stride: layout.qStride / 4,
      q_offset: layout.qOffset / 4,
      k_stride: layout.kStride / 4,
      k_offset: layout.kOffset / 4,
      v_stride: layout.vStride / 4,
      v_offset: layout.vOffset / 4,
      heads,
      bias_centre: bias?.centre ?? 0,
      bias_last: (bias?.bucketOf.elements ?? 1) - 1,
      scale,
    },
    workgroups: [Math.ceil(maxQueries / launch.queries), heads, spans.shape[0]!],
    work: {
      shape: [heads, maxQueries, Math.round(scoreCount / maxQueries), headDim],
      flops: 4 * heads * headDim * scoreCount,
    },
  });
}
