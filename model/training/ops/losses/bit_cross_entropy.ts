import type { Tensor } from "../../../../engine/mod.ts";
import {
  bitCrossEntropy as launch,
  type BitStats,
} from "../../../../kernels/losses/bit_cross_entropy.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Arguments of {@link bitCrossEntropy}. */
export interface BitCrossEntropyOptions {
  /** Target bits, [B, L or more, d] u32. */
  readonly bits: Tensor;
  /** [L] f32: how much each token counts, see {@link tokenWeights}. */
  readonly weights: Tensor;
  /** Label smoothing; 0 if absent. */
  readonly smoothing?: number;
  /** Whether a token's loss is the mean over its bits, or the sum; `mean` if absent. */
  readonly reduction?: "mean" | "sum";
  /** What this loss counts among others; 1 if absent. */
  readonly factor?: number;
  /** Where sums for a log go, if anybody wants them. */
  readonly stats?: BitStats;
}

/**
 * The loss of the bits (arXiv 2412.04431, section 3.3), by logit differences [B, L, d]. Its gradient, times the tape's
 * loss scale, is sent at once: unwind the tape next.
 */
export function bitCrossEntropy(
  tape: Tape,
  delta: Variable,
  options: BitCrossEntropyOptions,
): void {
  const { factor = 1, stats = null, ...rest } = options;
  const scale = factor * tape.lossScale;
  const { gradient } = delta;
  launch(tape.device, { delta: delta.value, ...rest, gradient, scale, stats });
}

/**
 * Weights of tokens that sum to 1: all the same, or ∝ 1 / √(tokens of the scale), so that coarse scales count more
 * (`reweight_loss_by_scale` in trainer.py, whose factor √(tokens of the last scale) is gone once they sum to 1).
 *
 * @param tokens Tokens of each scale that is trained.
 */
export function tokenWeights(
  tokens: readonly number[],
  byScale: boolean,
): Float32Array<ArrayBuffer> {
  const each = tokens.map((n) => byScale ? 1 / Math.sqrt(n) : 1);
  const sum = tokens.reduce((total, n, s) => total + n * each[s]!, 0);
  return Float32Array.from(tokens.flatMap((n, s) => Array(n).fill(each[s]! / sum)));
}
