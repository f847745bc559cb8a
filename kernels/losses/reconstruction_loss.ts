import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import source from "./reconstruction_loss.wgsl" with { type: "text" };

const kernel = defineKernel("reconstruction_loss", source, [
  "y",
  "x",
  "weights",
  "gradient",
  "terms",
], [
  "count",
  "height",
  "width",
  "C",
  "rows",
  "columns",
  "l1",
  "l2",
  "across",
  "down",
  "pooled",
  "mean",
  "mean_across",
  "mean_down",
  "scale",
]);

/** What the terms of a reconstruction's loss count; 0 where absent. All are means. */
export interface ReconstructionTerms {
  /** Absolute errors, each times the weight of its pixel. */
  readonly l1?: number;
  /** Squared errors. */
  readonly l2?: number;
  /** Absolute differences of neighbouring errors, across and down: edges as sharp as they were. */
  readonly edges?: number;
  /** Absolute means of errors over 4 × 4 squares: the right colour of areas. */
  readonly pooled?: number;
}

/** Arguments of {@link reconstructionLoss}. */
export interface ReconstructionLossArgs extends ReconstructionTerms {
  /** What the decoder made, [B, H, W, C] f32 or f16. */
  readonly y: Tensor;
  /** What it should be, [B, H, W, C] f32. */
  readonly x: Tensor;
  /** [B, H, W] f32, see `edgeWeights`; ones if null. */
  readonly weights: Tensor | null;
  /** As y: the gradient of the loss; null if nobody wants it. */
  readonly gradient: Gradient | null;
  /** What the gradient is multiplied by; 1 if absent. */
  readonly scale?: number;
  /**
   * [4] f32: the loss; the mean absolute error; the mean squared error of y within [−1, 1], for PSNR; the mean absolute
   * differences of errors.
   */
  readonly stats: Gradient | null;
}

const prelude = memoised((dtype: string): string => gradientLines(dtype, 1));

/** 1 / n, or 0 if there are none. */
function share(n: number): number {
  return n > 0 ? 1 / n : 0;
}

/**
 * The loss of reconstructed images, and its gradient. Sums are f32, in a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function reconstructionLoss(device: Device, args: ReconstructionLossArgs): void {
  const { y, x, weights, gradient, scale = 1, stats } = args;
  const { l1 = 0, l2 = 0, edges = 0, pooled = 0 } = args;
  const [B = 0, height = 0, width = 0, C = 0] = y.shape;
  const wrongGradient = gradient &&
    (gradient.tensor.dtype !== y.dtype || gradient.tensor.shape.join() !== y.shape.join());
  if (
    y.shape.length !== 4 || x.shape.join() !== y.shape.join() || x.dtype !== "f32" ||
    (weights && weights.elements !== B * height * width) || wrongGradient ||
    (stats && stats.tensor.elements !== 4)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot compare images ${y.dtype} [${y.shape}] with ${x.dtype} [${x.shape}]` +
        (weights ? `, weights [${weights.shape}]` : "") +
        (gradient ? `, gradient ${gradient.tensor.dtype} [${gradient.tensor.shape}]` : "") +
        (stats ? `, sums [${stats.tensor.shape}]` : ""),
    );
  }
  const rows = Math.ceil(height / 4), columns = Math.ceil(width / 4);
  const count = B * rows * columns * C;
  const mean = share(y.elements);
  const meanAcross = share(B * height * (width - 1) * C);
  const meanDown = share(B * (height - 1) * width * C);
  const squares = B * Math.floor(height / 4) * Math.floor(width / 4) * C;
  using terms = device.tensor("f32", [count, 4], "losses of squares");
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      Y: y.dtype,
      WEIGHTED: weights !== null,
      GRADIENT: gradient !== null,
      ADD: gradient?.add ?? false,
    },
    functions: prelude(y.dtype),
    bind: { y, x, weights, gradient: gradient?.tensor ?? null, terms },
    params: {
      count,
      height,
      width,
      C,
      rows,
      columns,
      l1: l1 * mean,
      l2: l2 * mean,
      across: edges * meanAcross,
      down: edges * meanDown,
      pooled: pooled * share(squares),
      mean,
      mean_across: meanAcross,
      mean_down: meanDown,
      scale,
    },
    workgroups,
  });
  if (stats) columnSums(device, { x: terms, y: stats });
}
