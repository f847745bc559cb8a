import { hingeLoss as launch, type HingeRole } from "../../../../kernels/losses/hinge_loss.ts";
import type { Gradient } from "../../../../kernels/shared/gradient.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Arguments of {@link hingeLoss}. */
export interface HingeLossOptions {
  /** Whose loss it is. */
  readonly role: HingeRole;
  /** What this loss counts among others; 1 if absent. */
  readonly factor?: number;
  /** [2] f32 for a log: the loss, and the share of answers that are right. */
  readonly stats?: Gradient;
}

/**
 * The hinge loss of a discriminator's answers, or of the generator by them. Its gradient, times the tape's loss scale, is
 * sent at once: unwind next.
 */
export function hingeLoss(tape: Tape, answers: Variable, options: HingeLossOptions): void {
  const { role, factor = 1, stats = null } = options;
  const { gradient } = answers;
  const scale = factor * tape.lossScale;
  launch(tape.device, { x: answers.value, role, gradient, scale, stats });
}
