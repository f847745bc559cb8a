import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { spread } from "../shared/spread.ts";
import { pairLayout } from "./pair_difference.ts";
import source from "./pair_difference_backward.wgsl" with { type: "text" };

const kernel = defineKernel("pair_difference_backward", source, ["dy", "dx"], ["count", "width"]);

/** Arguments of {@link pairDifferenceBackward}. */
export interface PairDifferenceBackwardArgs {
  /** [d, C] or [d] f32. */
  readonly dy: Tensor;
  /** [2·d, C] or [2·d] f32. */
  readonly dx: Gradient;
}

/**
 * The gradient of `pairDifference`: the row of a bit's logit 1 gets +dy, that of its logit 0 gets −dy.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function pairDifferenceBackward(device: Device, args: PairDifferenceBackwardArgs): void {
  const { dy, dx: { tensor, add } } = args;
  const layout = pairLayout(tensor, dy);
  if (!layout) {
    throw new KernelError(
      "bad-shape",
      `Cannot send the gradient ${dy.dtype} [${dy.shape}] to ${tensor.dtype} [${tensor.shape}]`,
    );
  }
  const { width, V, count } = layout;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, V, ADD: add },
    bind: { dy, dx: tensor },
    params: { count, width },
    workgroups,
  });
}
