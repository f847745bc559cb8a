import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import finite from "../shared/finite.wgsl" with { type: "text" };
import { spread } from "../shared/spread.ts";
import source from "./check_finite.wgsl" with { type: "text" };

const kernel = defineKernel("check_finite", source, ["x", "non_finite"], ["count"]);

/** Arguments of {@link checkFinite}. */
export interface CheckFiniteArgs {
  /** f32, of any shape. */
  readonly x: Tensor;
  /** [1] u32: set to 1 if x holds NaN or an infinity, otherwise left as it is. */
  readonly nonFinite: Tensor;
}

/**
 * Sets `nonFinite` if an element of x is NaN or infinite. Without this check damaged weights would give an image like
 * any other.
 *
 * @throws {KernelError} `bad-shape`: dtypes or shapes disagree.
 */
export function checkFinite(device: Device, { x, nonFinite }: CheckFiniteArgs): void {
  if (x.dtype !== "f32" || nonFinite.dtype !== "u32" || nonFinite.elements !== 1) {
    throw new KernelError(
      "bad-shape",
      `Cannot check ${x.dtype} [${x.shape}] into ${nonFinite.dtype} [${nonFinite.shape}]`,
    );
  }
  const { WG, workgroups } = spread(device, x.elements);
  device.run(kernel, {
    specialise: { WG },
    functions: finite,
    bind: { x, non_finite: nonFinite },
    params: { count: x.elements },
    workgroups,
  });
}
