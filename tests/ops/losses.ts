/** Cases of kernels/losses. */

import { bitCrossEntropy } from "../../kernels/losses/bit_cross_entropy.ts";
import { codeLosses } from "../../kernels/losses/code_losses.ts";
import { edgeWeights } from "../../kernels/losses/edge_weights.ts";
import { hingeLoss } from "../../kernels/losses/hinge_loss.ts";
import { pairDifference } from "../../kernels/losses/pair_difference.ts";
import { pairDifferenceBackward } from "../../kernels/losses/pair_difference_backward.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import { reconstructionLoss } from "../../kernels/losses/reconstruction_loss.ts";
import { unitVectors } from "../kernels/bits/references.ts";
import * as images from "../kernels/losses/image_references.ts";
import * as reference from "../kernels/losses/references.ts";
import type { Draw } from "./draw.ts";
import { type Float, FLOATS, type Op, plain } from "./op.ts";

export const LOSSES: readonly Op[] = [
  ...FLOATS.map((dtype): Op => ({
    ...plain("bit_cross_entropy", dtype, dtype, (draw) => compared(draw, dtype)),
    runs: ["bit_cross_entropy", "bit_cross_entropy_sums"],
  })),
  { ...plain("code_losses", "f32", "f32", pushed), runs: ["code_losses", "code_losses_means"] },
  {
    ...plain("edge_weights", "f32", "f32", weighted),
    runs: ["edge_strengths", "edge_weights"],
  },
  ...FLOATS.map((dtype) => plain("hinge_loss", dtype, dtype, (draw) => answered(draw, dtype))),
  plain("pair_difference", "f32", "f32", paired),
  plain("pair_difference_backward", "f32", "f32", pairedBack),
  ...FLOATS.map((dtype) =>
    plain("reconstruction_loss", dtype, dtype, (draw) => reconstructed(draw, dtype))
  ),
];

/** Numbers whose signs decide: none is subnormal, which adapters may take for 0. */
function signed(draw: Draw, count: number, dtype: Float, scale: number = 1): Float64Array {
  return draw.values(count, dtype, scale).map((v) => Math.abs(v) < 2 ** -14 ? 0.25 : v);
}

/** A tensor that a gradient replaces or is added to, and what it then holds. */
function receiver(draw: Draw, dtype: Float, shape: readonly number[]) {
  const count = shape.reduce((product, n) => product * n, 1), add = draw.odds(0.5);
  const before = draw.values(count, dtype);
  const tensor = add ? upload(dtype, shape, before) : poisoned(dtype, shape);
  return {
    gradient: { tensor, add },
    output: (expected: Float64Array) => ({
      tensor,
      expected: add ? expected.map((v, i) => v + before[i]!) : expected,
    }),
  };
}

function compared(draw: Draw, dtype: Float) {
  const B = draw.size(4), L = draw.size(80), d = draw.size(24, 4);
  const bitRows = L + draw.of([0, 0, 5]);
  const smoothing = draw.of([0, 0.1]), reduction = draw.of(["mean", "sum"]);
  const z = signed(draw, B * L * d, dtype, draw.of([1, 8]));
  const bits = draw.bits(B * bitRows * d);
  const weights = draw.values(L).map(Math.abs);
  const starts = [0, ...Array.from({ length: draw.int(0, 3) }, () => draw.int(0, L)), L].sort((
    a,
    b,
  ) => a - b);
  const how = { B, L, d, bitRows, smoothing, reduction, weights };
  const { gradient, output } = receiver(draw, dtype, [B, L, d]);
  const sums = poisoned("f32", [starts.length, 4]);
  bitCrossEntropy(device, {
    delta: upload(dtype, [B, L, d], z),
    bits: upload("u32", [B, bitRows, d], bits),
    weights: upload("f32", [L], weights),
    smoothing,
    reduction,
    gradient,
    stats: {
      starts: upload("u32", [starts.length], starts),
      sums: { tensor: sums, add: false },
    },
  });
  return {
    shape: `[${B}, ${L}, ${d}], smoothing ${smoothing}, ${reduction}`,
    outputs: [
      output(reference.bitCrossEntropyGradient(z, bits, how)),
      { tensor: sums, expected: reference.bitStats(z, bits, starts, how) },
    ],
  };
}

function paired(draw: Draw) {
  const d = draw.size(40), C = draw.size(60, 4);
  // one sign for even rows and one for odd ones, so that nothing cancels
  const x = draw.values(2 * d * C).map((v, i) =>
    Math.floor(i / C) % 2 ? Math.abs(v) : -Math.abs(v)
  );
  const tensor = poisoned("f32", [d, C]);
  pairDifference(device, { x: upload("f32", [2 * d, C], x), y: tensor });
  return {
    shape: `[${2 * d}, ${C}]`,
    outputs: [{ tensor, expected: reference.pairDifference(x, C) }],
  };
}

function pairedBack(draw: Draw) {
  const d = draw.size(40), C = draw.size(60, 4);
  const dy = draw.values(d * C);
  const { gradient, output } = receiver(draw, "f32", [2 * d, C]);
  pairDifferenceBackward(device, { dy: upload("f32", [d, C], dy), dx: gradient });
  return {
    shape: `[${2 * d}, ${C}] add ${gradient.add}`,
    outputs: [output(reference.pairDifferenceBackward(dy, C))],
  };
}

function pushed(draw: Draw) {
  const rows = draw.size(200), d = 1 + draw.size(63, 4);
  const n = unitVectors(signed(draw, rows * d, "f32"), d).map(Math.fround);
  const how = {
    d,
    vector: draw.of([0, 1, 0.3]),
    codebook: draw.of([0, 1, 0.3]),
    commitment: draw.of([1, 0.25]),
    inverseTemperature: draw.of([1, 10]),
  };
  const { gradient, output } = receiver(draw, "f32", [rows, d]);
  const stats = poisoned("f32", [4]);
  codeLosses(device, {
    n: upload("f32", [rows, d], n),
    ...how,
    gradient,
    stats: { tensor: stats, add: false },
  });
  return {
    shape: `[${rows}, ${d}] ${JSON.stringify(how)}`,
    outputs: [
      output(reference.codeLossesGradient(n, how)),
      { tensor: stats, expected: reference.codeLosses(n, how) },
    ],
  };
}

function weighted(draw: Draw) {
  const shape = [draw.int(1, 3), draw.size(20), draw.size(20), draw.of([1, 3])] as const;
  const [B, H, W, C] = shape;
  const amount = draw.of([2.5, 0.5]), gain = draw.of([1.5, 0.2]);
  const data = draw.values(B * H * W * C);
  const tensor = poisoned("f32", [B, H, W]);
  edgeWeights(device, { x: upload("f32", shape, data), y: tensor, amount, gain });
  return {
    shape: `[${shape}] amount ${amount}, gain ${gain}`,
    outputs: [{
      tensor,
      expected: images.edgeWeights({ shape: [...shape], data }, amount, gain),
    }],
  };
}

function answered(draw: Draw, dtype: Float) {
  const count = draw.size(2000, 64), role = draw.option(["real", "fake", "generator"]);
  const sign = role === "fake" ? 1 : -1;
  // most answers are wrong, so that the mean is not small for its terms
  const x = signed(draw, count, dtype, 2).map((v) =>
    sign * Math.abs(v) * (draw.odds(0.1) ? -1 : 1)
  );
  const { gradient, output } = receiver(draw, dtype, [count]);
  const stats = poisoned("f32", [2]);
  hingeLoss(device, {
    x: upload(dtype, [count], x),
    role,
    gradient,
    stats: { tensor: stats, add: false },
  });
  return {
    shape: `[${count}] ${role} add ${gradient.add}`,
    outputs: [
      output(images.hingeLossGradient(x, role)),
      { tensor: stats, expected: images.hingeLoss(x, role) },
    ],
  };
}

function reconstructed(draw: Draw, dtype: Float) {
  const shape = [draw.int(1, 2), draw.size(14, 4), draw.size(14, 4), draw.of([1, 3])] as const;
  const [B, H, W, C] = shape, count = B * H * W * C;
  const how = {
    l1: draw.of([0, 1]),
    l2: draw.of([1, 2]),
    edges: draw.of([0, 0.6]),
    pooled: draw.of([0, 0.5]),
  };
  const y = draw.values(count, dtype, 2), x = signed(draw, count, "f32");
  const weights = draw.odds(0.5) ? draw.values(B * H * W).map((v) => Math.abs(v) + 0.5) : null;
  const own = weights?.map(Math.fround) ?? null;
  const { gradient, output } = receiver(draw, dtype, shape);
  const stats = poisoned("f32", [4]);
  reconstructionLoss(device, {
    y: upload(dtype, shape, y),
    x: upload("f32", shape, x),
    weights: own && upload("f32", [B, H, W], own),
    ...how,
    gradient,
    stats: { tensor: stats, add: false },
  });
  const errors = y.map((v, i) => v - x[i]!);
  return {
    shape: `[${shape}] ${JSON.stringify(how)}, ${own ? "weighted" : "even"}`,
    outputs: [
      output(images.reconstructionLossGradient(errors, shape, own, how)),
      { tensor: stats, expected: images.reconstructionStats(y, x, shape, own, how) },
    ],
  };
}
