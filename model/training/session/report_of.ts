import type { Stage } from "../config/types.ts";
import { psnr } from "../ops/losses/reconstruction_loss.ts";
import type { Report } from "../report/types.ts";
import type { StepReport } from "../run/report.ts";

/** What a trainer reports, as a line of the log. */
export function reportOf(stage: Stage, step: StepReport): Report {
  const { loss: sums = [], codes, generator, discriminator } = step.metrics;
  const bit_accuracy = accuracies(sums);
  const ofImages = sums.length === COLUMNS;
  const losses = {
    ...ofImages && { l1: sums[1]!, gradient: sums[3]! },
    ...codes && { entropy: codes[1]!, codebook: codes[2]!, commitment: codes[3]! },
    // the latter is a sum over real and decoded images
    ...generator && { generator: generator[0]! },
    ...discriminator && { discriminator: discriminator[0]! / 2 },
  };
  return {
    stage,
    step: step.step,
    loss: step.loss,
    seconds: step.seconds,
    learning_rate: step.learningRate,
    ...Number.isFinite(step.gradientNorm) && { gradient_norm: step.gradientNorm },
    ...ofImages && { losses },
    ...bit_accuracy.length > 0 && { bit_accuracy },
    ...ofImages && { psnr: psnr(sums[2]!) },
    images_per_second: step.imagesPerSecond,
    ...step.tokensPerSecond > 0 && { tokens_per_second: step.tokensPerSecond },
    ...step.lossScale !== 1 && { loss_scale: step.lossScale },
    ...step.skipped > 0 && { skipped: step.skipped },
  };
}

/** Columns of the sums of `bitCrossEntropy()`, and the one of bits that are likelier right than wrong. */
const [COLUMNS, RIGHT] = [4, 2];

/** The share of bits that are right in each scale, from sums over all tokens and for each scale; none of one number. */
export function accuracies(sums: readonly number[]): number[] {
  return sums.filter((_, i) => i > COLUMNS && i % COLUMNS === RIGHT);
}
