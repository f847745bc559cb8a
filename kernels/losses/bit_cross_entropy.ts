import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import source from "./bit_cross_entropy.wgsl" with { type: "text" };
import sumsSource from "./bit_cross_entropy_sums.wgsl" with { type: "text" };
import { vectorsOf } from "../shared/vectors.ts";

const kernel = defineKernel("bit_cross_entropy", source, [
  "delta",
  "bits",
  "weights",
  "gradient",
  "terms",
], ["count", "rows", "bit_rows", "width", "smoothing", "mean", "share", "scale"]);
const sumsKernel = defineKernel("bit_cross_entropy_sums", sumsSource, [
  "tokens",
  "starts",
  "stats",
], ["rows", "images", "width"]);

/** Invocations that share the tokens of a scale. */
const SHARE = 64;

/** Arguments of {@link bitCrossEntropy}. */
export interface BitCrossEntropyArgs {
  /** logit 1 − logit 0, [B, L, d] f32 or f16. */
  readonly delta: Tensor;
  /** Target bits, [B, L or more, d] u32, 0 or 1: tokens after L do not count. */
  readonly bits: Tensor;
  /** [L] f32: how much each token counts. */
  readonly weights: Tensor;
  /** Share of probability that goes to both bits alike; 0 if absent. */
  readonly smoothing?: number;
  /** Whether a token's loss is the mean over its bits, or the sum; `mean` if absent. */
  readonly reduction?: "mean" | "sum";
  /** [B, L, d] of the type of `delta`: the gradient of the loss; null if nobody wants it. */
  readonly gradient: Gradient | null;
  /** What the gradient is multiplied by; 1 if absent. */
  readonly scale?: number;
  /** Sums for a log; null if nobody wants them. */
  readonly stats: BitStats | null;
}

/** Where {@link bitCrossEntropy} puts sums over tokens. */
export interface BitStats {
  /** [S + 1] u32: the first token of each scale, and L. */
  readonly starts: Tensor;
  /**
   * [S + 1, 4] f32: for all tokens, then for each scale: share of the loss; mean loss of a token; share of bits that are
   * likelier right than wrong; share of tokens whose bits all are.
   */
  readonly sums: Gradient;
}

const prelude = memoised((dtype: string, per: 1 | 4, total: string): string =>
  `${gradientLines(dtype, per)}\n${total}`
);

/**
 * The loss of the Infinite-Vocabulary Classifier and its gradient by the logits (arXiv 2412.04431, section 3.3;
 * `train_step` in trainer.py): the cross-entropy of each bit, the mean or sum over a token's bits, the weighted sum over
 * tokens, the mean over images. A softmax over two logits depends on their difference alone. Sums are f32, in a fixed
 * order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function bitCrossEntropy(device: Device, args: BitCrossEntropyArgs): void {
  const { delta, bits, weights, smoothing = 0, reduction = "mean", gradient, scale = 1 } = args;
  const [B = 0, L = 0, d = 0] = delta.shape;
  const [bitB, bitRows = 0, bitD] = bits.shape;
  const { stats } = args;
  const rows = stats?.starts.elements ?? 0;
  const wrong = gradient && gradient.tensor.dtype !== delta.dtype ||
    gradient && gradient.tensor.elements !== delta.elements;
  if (
    delta.shape.length !== 3 || bitB !== B || bitD !== d || bitRows < L || wrong ||
    weights.elements !== L || (stats && stats.sums.tensor.elements !== 4 * rows)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot compare ${delta.dtype} [${delta.shape}] with bits [${bits.shape}], ` +
        `weights [${weights.shape}]` +
        (gradient ? `, gradient ${gradient.tensor.dtype} [${gradient.tensor.shape}]` : "") +
        (stats ? `, sums [${stats.sums.tensor.shape}] of ${rows - 1} scales` : ""),
    );
  }
  const { per, type, total } = vectorsOf(d);
  const mean = reduction === "mean" ? 1 / d : 1;
  const { WG, workgroups } = spread(device, B * L);
  using terms = device.tensor("f32", [B, L * 4], "losses of tokens");
  device.run(kernel, {
    specialise: {
      WG,
      X: type(delta.dtype),
      V: type("f32"),
      U: type("u32"),
      GRADIENT: gradient !== null,
      ADD: gradient?.add ?? false,
    },
    functions: prelude(delta.dtype, per, total),
    bind: { delta, bits, weights, gradient: gradient?.tensor ?? null, terms },
    params: {
      count: B * L,
      rows: L,
      bit_rows: bitRows,
      width: d / per,
      smoothing: smoothing / 2,
      mean,
      share: 1 / B,
      scale: scale * mean / B,
    },
    workgroups,
  });
  if (!stats) return;
  using tokens = device.tensor("f32", [L * 4], "losses of tokens over images");
  columnSums(device, { x: terms, y: { tensor: tokens, add: false } });
  device.run(sumsKernel, {
    specialise: { WG: SHARE, ADD: stats.sums.add },
    bind: { tokens, starts: stats.starts, stats: stats.sums.tensor },
    params: { rows: L, images: B, width: d },
    workgroups: [rows],
  });
}
