/**
 * What the kernels of {@link attentionBackward} share: arguments, declarations, and the dispatch of its sums.
 *
 * @module
 */

import {
  defineKernel,
  type Device,
  type Kernel,
  type Specialisation,
  type Tensor,
  type Texture,
} from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import declarations from "./attention_backward_bindings.wgsl" with { type: "text" };
import { type AttentionArgs, attentionLayout } from "./attention_launch.ts";
import type { SpanLayout } from "./attention_spans.ts";

/** Bindings of a kernel that makes sums. */
const BINDINGS = [
  "spans",
  "marks",
  "stats",
  "sums",
  "own_x",
  "own_y",
  "other_x",
  "other_y",
] as const;

/** Its parameters. */
const PARAMS = [
  "own_x_stride",
  "own_x_offset",
  "own_y_stride",
  "own_y_offset",
  "other_x_stride",
  "other_x_offset",
  "other_y_stride",
  "other_y_offset",
  "heads",
  "spans",
  "part",
  "rows",
  "bias_centre",
  "bias_last",
  "scale",
] as const;

/** Arguments of {@link attentionBackward}: those of the forward pass, with gradients in place of y. */
export interface AttentionBackwardArgs extends
  Omit<
    AttentionArgs,
    "y" | "spans" | "maxQueries" | "maxKeys" | "rows" | "scoreCount" | "variant"
  > {
  /** Which rows attend to which. */
  readonly layout: SpanLayout;
  /** Gradient of y, [rows, heads · headDim] f32 or f16. */
  readonly dy: Tensor;
  /** Gradients of q, k and v, with the strides and offsets of these; null if not wanted. */
  readonly dq: Gradient | null;
  /** See `dq`. */
  readonly dk: Gradient | null;
  /** See `dq`. */
  readonly dv: Gradient | null;
  /** Written in place of dk and dv: both side by side, [keys, 2 · heads · headDim] f32. */
  readonly dkv?: Tensor;
  /** Gradient of the bias's table, [buckets, heads] f32; null if not wanted, or if there is no bias. */
  readonly dTable?: Gradient | null;
  /** Chosen by the adapter if absent. Tests set it. */
  readonly variant?: AttentionBackwardVariant;
}

/**
 * How the sums are made:
 * - `tiles`: in workgroup memory and registers, on any adapter.
 * - `subgroup`: a workgroup is one subgroup of a fixed size, and the other side is first copied to textures.
 * - `matrix`: on tensor cores, with operands and weights rounded to f16.
 */
export type AttentionBackwardVariant = "tiles" | "subgroup" | "matrix";

/** What rows are read from. */
export interface Operands {
  readonly q: Tensor | Texture;
  readonly k: Tensor | Texture;
  readonly v: Tensor | Texture;
  readonly dy: Tensor | Texture;
}

/** Arguments of a variant. */
export interface SumsArgs extends AttentionBackwardArgs {
  /** Whether the sums are those of keys, otherwise of queries. */
  readonly keys: boolean;
  /** Biases by distance, [distances, heads] f32; null without bias. */
  readonly biases: Tensor | null;
  /** [queries, heads, 2] f32: logarithm of a row's sum of weights, and D; written for queries, read for keys. */
  readonly stats: Tensor;
  /** What rows are read from: textures for `subgroup`. */
  readonly operands: Operands;
  /** f32, [parts, queries, C] of dq, or [parts, keys, 2C] of dk and dv. */
  readonly sums: Tensor;
  /** In how many parts the rows of the other side are taken. */
  readonly parts: number;
}

/** A kernel that makes sums. */
export type SumsKernel = Kernel<(typeof BINDINGS)[number], (typeof PARAMS)[number]>;

/** Defines a variant: what all variants declare, and its own text. */
export function defineSums(name: string, body: string): SumsKernel {
  return defineKernel(name, `${declarations}\n${body}`, BINDINGS, PARAMS);
}

/** How a variant runs. */
export interface SumsLaunch {
  /** What runs. */
  readonly kernel: SumsKernel;
  /** Own rows of a workgroup. */
  readonly own: number;
  /** The variant's own constants and types. */
  readonly specialise: Specialisation;
  /** The variant's own functions. */
  readonly functions: string;
}

/** Dispatches a variant: workgroups are tiles of own rows × heads × spans and parts. */
export function launchSums(device: Device, args: SumsArgs, launch: SumsLaunch): void {
  const { operands: { q, k, v, dy }, layout, keys, parts, heads, headDim, bias, scale } = args;
  const { qStride, qOffset, kStride, kOffset, vStride, vOffset } = attentionLayout(args);
  const queries = {
    x: { from: q, stride: qStride, offset: qOffset },
    y: { from: dy, stride: heads * headDim, offset: 0 },
  };
  const values = {
    x: { from: k, stride: kStride, offset: kOffset },
    y: { from: v, stride: vStride, offset: vOffset },
  };
  const [own, other] = keys ? [values, queries] : [queries, values];
  const side = keys ? layout.byKeys : layout.byQueries;
  device.run(launch.kernel, {
    specialise: {
      OWN_X: typeOf(own.x.from),
      OWN_Y: typeOf(own.y.from),
      OTHER_X: typeOf(other.x.from),
      OTHER_Y: typeOf(other.y.from),
      VECTORS: headDim / 4,
      BY_KEYS: keys,
      BIAS: bias !== undefined,
      ...launch.specialise,
    },
    functions: launch.functions,
    bind: {
      own_x: own.x.from,
      own_y: own.y.from,
      other_x: other.x.from,
      other_y: other.y.from,
      spans: side.spans,
      marks: args.biases ?? layout.firstQueries,
      stats: args.stats,
      sums: args.sums,
    },
    params: {
      own_x_stride: own.x.stride / 4,
      own_x_offset: own.x.offset / 4,
      own_y_stride: own.y.stride / 4,
      own_y_offset: own.y.offset / 4,
      other_x_stride: other.x.stride / 4,
      other_x_offset: other.x.offset / 4,
      other_y_stride: other.y.stride / 4,
      other_y_offset: other.y.offset / 4,
      heads,
      spans: side.spans.shape[0]!,
      part: Math.ceil(side.others / parts),
      rows: side.rows,
      bias_centre: bias?.centre ?? 0,
      bias_last: (bias?.bucketOf.elements ?? 1) - 1,
      scale,
    },
    workgroups: [Math.ceil(side.own / launch.own), heads, side.spans.shape[0]! * parts],
    work: {
      shape: [heads, side.own, side.others, headDim],
      flops: 8 * heads * headDim * layout.scoreCount,
    },
  });
}

function typeOf(rows: Tensor | Texture): string {
  return "format" in rows ? `texture_storage_2d<${rows.format}, read>` : `vec4<${rows.dtype}>`;
}
