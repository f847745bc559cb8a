/**
 * The relative bias in attention's backward pass: its values by distance, and the gradient of its table.
 *
 * @module
 */

import { defineKernel, type Device, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import biasesSource from "./attention_backward_biases.wgsl" with { type: "text" };
import diagonalsSource from "./attention_backward_diagonals.wgsl" with { type: "text" };
import type { AttentionBackwardArgs } from "./attention_backward_launch.ts";
import tableSource from "./attention_backward_table.wgsl" with { type: "text" };
import { attentionLayout, type RelativeBias } from "./attention_launch.ts";

const biasesKernel = defineKernel(
  "attention_backward_biases",
  biasesSource,
  ["table", "bucket_of", "biases"],
  ["count", "heads"],
);

const diagonalsKernel = defineKernel(
  "attention_backward_diagonals",
  diagonalsSource,
  ["q", "k", "v", "dy", "spans", "biases", "stats", "sums"],
  [
    "q_stride",
    "q_offset",
    "k_stride",
    "k_offset",
    "v_stride",
    "v_offset",
    "heads",
    "spans",
    "part",
    "first",
    "distances",
    "count",
    "bias_centre",
    "bias_last",
    "scale",
  ],
);

const tableKernel = defineKernel("attention_backward_table", tableSource, [
  "sums",
  "bucket_of",
  "table",
], ["count", "heads", "parts", "first", "distances", "bias_centre", "bias_last"]);

/** Parts that spans are summed in: enough invocations for a GPU, few sums for the second step. */
const PARTS = 64;

/** Biases by distance, [distances, heads]: kernels that make sums have no binding to spare for two tensors. */
export function biasesOf(device: Device, { table, bucketOf }: RelativeBias, heads: number): Tensor {
  const biases = device.tensor("f32", [bucketOf.elements, heads], "biases");
  const { WG, workgroups } = spread(device, biases.elements);
  device.run(biasesKernel, {
    specialise: { WG },
    bind: { table, bucket_of: bucketOf, biases },
    params: { count: biases.elements, heads },
    workgroups,
  });
  return biases;
}

/** The gradient of the bias's table, after the statistics of queries. */
export function tableBackward(
  device: Device,
  args: AttentionBackwardArgs,
  { bias, biases, stats, gradient: { tensor: table, add } }: {
    readonly bias: RelativeBias;
    /** See {@link biasesOf}. */
    readonly biases: Tensor;
    /** [queries, heads, 2] f32: logarithm of a row's sum of weights, and D. */
    readonly stats: Tensor;
    readonly gradient: Gradient;
  },
): void {
  const { q, k, v, dy, heads, headDim, scale, layout: { byQueries: { spans, own, others } } } =
    args;
  const { qStride, qOffset, kStride, kOffset, vStride, vOffset } = attentionLayout(args);
  const places = { bias_centre: bias.centre, bias_last: bias.bucketOf.elements - 1 };
  const [count = 0] = spans.shape;
  const part = Math.ceil(count / PARTS);
  const parts = Math.ceil(count / part);
  const first = 1 - own;
  const distances = Math.max(1, own + others - 1);
  using sums = device.tensor("f32", [parts, distances, heads], "sums of diagonals");
  const diagonals = spread(device, sums.elements);
  device.run(diagonalsKernel, {
    specialise: {
      WG: diagonals.WG,
      Q: `vec4<${q.dtype}>`,
      K: `vec4<${k.dtype}>`,
      V: `vec4<${v.dtype}>`,
      DY: `vec4<${dy.dtype}>`,
      VECTORS: headDim / 4,
    },
    bind: { q, k, v, dy, spans, biases, stats, sums },
    params: {
      q_stride: qStride / 4,
      q_offset: qOffset / 4,
      k_stride: kStride / 4,
      k_offset: kOffset / 4,
      v_stride: vStride / 4,
      v_offset: vOffset / 4,
      heads,
      spans: count,
      part,
      first,
      distances,
      count: sums.elements,
      ...places,
      scale,
    },
    workgroups: diagonals.workgroups,
    work: { flops: 4 * heads * headDim * args.layout.scoreCount },
  });
  const { WG, workgroups } = spread(device, table.elements);
  device.run(tableKernel, {
    specialise: { WG, ADD: add },
    bind: { sums, bucket_of: bias.bucketOf, table },
    params: { count: table.elements, heads, parts, first, distances, ...places },
    workgroups,
  });
}
