import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import source from "./hinge_loss.wgsl" with { type: "text" };

const kernel = defineKernel("hinge_loss", source, ["x", "gradient", "terms"], [
  "count",
  "mean",
  "scale",
]);

/**
 * Whose loss it is: that of the discriminator, of answers to real or to generated images, or that of the generator, of
 * answers to what it made.
 */
export type HingeRole = "real" | "fake" | "generator";

const HINGE: Record<HingeRole, string> = {
  // so that NaN stays, which max() may drop
  real: "vec3(select(1 - v, 0.0, v >= 1), select(-1.0, 0.0, v >= 1), select(0.0, 1.0, v > 0))",
  fake: "vec3(select(1 + v, 0.0, v <= -1), select(1.0, 0.0, v <= -1), select(0.0, 1.0, v < 0))",
  generator: "vec3(-v, -1.0, select(0.0, 1.0, v < 0))",
};

/** Arguments of {@link hingeLoss}. */
export interface HingeLossArgs {
  /** Answers of the discriminator, large for real images, f32 or f16 of any shape. */
  readonly x: Tensor;
  /** Whose loss it is. */
  readonly role: HingeRole;
  /** As x: the gradient of the loss; null if nobody wants it. */
  readonly gradient: Gradient | null;
  /** What the gradient is multiplied by; 1 if absent. */
  readonly scale?: number;
  /** [2] f32: the loss, and the share of answers that are right. */
  readonly stats: Gradient | null;
}

const prelude = memoised((dtype: string, role: HingeRole): string =>
  `${gradientLines(dtype, 1)}
fn hinge(v: f32) -> vec3<f32> { return ${HINGE[role]}; }`
);

/**
 * The hinge losses of a patch discriminator, as means over its answers: max(0, 1 − x) for real images, max(0, 1 + x) for
 * generated ones, and −x for the generator (`disc_loss_type` hinge in infinity/models/bsq_vae/vae.py).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function hingeLoss(device: Device, args: HingeLossArgs): void {
  const { x, role, gradient, scale = 1, stats } = args;
  const count = x.elements;
  if (
    (gradient && (gradient.tensor.elements !== count || gradient.tensor.dtype !== x.dtype)) ||
    (stats && stats.tensor.elements !== 2)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot take hinge losses of ${x.dtype} [${x.shape}]` +
        (gradient ? `, gradient ${gradient.tensor.dtype} [${gradient.tensor.shape}]` : "") +
        (stats ? `, sums [${stats.tensor.shape}]` : ""),
    );
  }
  using terms = device.tensor("f32", [count, 2], "losses of answers");
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, X: x.dtype, GRADIENT: gradient !== null, ADD: gradient?.add ?? false },
    functions: prelude(x.dtype, role),
    bind: { x, gradient: gradient?.tensor ?? null, terms },
    params: { count, mean: 1 / count, scale },
    workgroups,
  });
  if (stats) columnSums(device, { x: terms, y: stats });
}
