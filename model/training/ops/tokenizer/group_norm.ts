import { applyGroupNorm, type NormActivation } from "../../../../kernels/norm/group_norm.ts";
import { groupNormBackward } from "../../../../kernels/norm/group_norm_backward.ts";
import { groupNormMoments } from "../../../../kernels/norm/group_norm_moments.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Options of {@link groupNorm}. */
export interface GroupNormOptions {
  /** [C] f32. */
  readonly weight: Variable;
  /** [C] f32. */
  readonly bias: Variable;
  /** Number of groups of channels. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
  /** Applied after normalising; `none` if absent. */
  readonly activation?: NormActivation;
}

/** y = activation(GroupNorm(x)) of x [B, …, C] with channels last, of the type of activations. */
export function groupNorm(tape: Tape, x: Variable, options: GroupNormOptions): Variable {
  const { device } = tape;
  const { groups, eps, activation = "none" } = options;
  const [weight, bias] = [options.weight.value, options.bias.value];
  const y = tape.output(x.value.shape, "normed");
  const moments = groupNormMoments(device, { x: x.value, weight, groups, eps });
  applyGroupNorm(device, { x: x.value, moments, bias, y, activation });
  const backward = (dy: typeof y) => {
    groupNormBackward(device, {
      x: x.value,
      dy,
      moments,
      weight,
      bias,
      groups,
      activation,
      dx: x.gradient,
      dweight: options.weight.gradient,
      dbias: options.bias.gradient,
    });
  };
  return tape.record(y, [x, options.weight, options.bias], backward, [moments]);
}
