import type { Tensor } from "../../../../engine/mod.ts";
import { edgeWeights } from "../../../../kernels/losses/edge_weights.ts";
import {
  reconstructionLoss as launch,
  type ReconstructionTerms,
} from "../../../../kernels/losses/reconstruction_loss.ts";
import type { Gradient } from "../../../../kernels/shared/gradient.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Arguments of {@link reconstructionLoss}. */
export interface ReconstructionLossOptions extends ReconstructionTerms {
  /** What the decoder should have made, [B, H, W, 3] f32. */
  readonly target: Tensor;
  /** Absolute errors next to edges of the target count up to 1 + amount; edges of 1 / gain and more are strong. */
  readonly edgeWeighting?: { readonly amount: number; readonly gain: number };
  /** What this loss counts among others; 1 if absent. */
  readonly factor?: number;
  /** [4] f32 for a log: the loss, mean absolute error, mean squared error within [−1, 1], differences of errors. */
  readonly stats?: Gradient;
}

/**
 * The loss of decoded images y [B, H, W, 3]: absolute errors, weighted by edges, squared errors, differences between
 * neighbours, and means of 4 × 4 squares. Its gradient, times the tape's loss scale, is sent at once: unwind next.
 */
export function reconstructionLoss(
  tape: Tape,
  y: Variable,
  options: ReconstructionLossOptions,
): void {
  const { device } = tape;
  const { target, edgeWeighting, factor = 1, stats = null, ...terms } = options;
  using weights = edgeWeighting
    ? device.tensor("f32", target.shape.slice(0, 3), "edge weights")
    : null;
  if (edgeWeighting) edgeWeights(device, { x: target, y: weights!, ...edgeWeighting });
  const { gradient } = y;
  const scale = factor * tape.lossScale;
  launch(device, { y: y.value, x: target, ...terms, weights, gradient, scale, stats });
}

/** PSNR in dB of images in [−1, 1], from their mean squared error. */
export function psnr(meanSquare: number): number {
  return -10 * Math.log10(meanSquare / 4);
}
