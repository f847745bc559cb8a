import { defineKernel, type Device, grid, KernelError, type Tensor } from "../../engine/mod.ts";
import source from "./check_finite.wgsl" with { type: "text" };

const kernel = defineKernel("check_finite", source, ["x", "broken"], ["count"]);

/** Arguments of {@link checkFinite}. */
export interface CheckFiniteArgs {
  /** f32, of any shape. */
  readonly x: Tensor;
  /** [1] u32: becomes 1 if x holds NaN or an infinity, else stays. */
  readonly broken: Tensor;
}

/**
 * Marks `broken` where x is not finite: broken weights would otherwise draw an image like any other.
 *
 * @throws {KernelError} if dtypes or shapes disagree.
 */
export function checkFinite(device: Device, { x, broken }: CheckFiniteArgs): void {
  if (x.dtype !== "f32" || broken.dtype !== "u32" || broken.elements !== 1) {
    throw new KernelError(
      "bad-shape",
      `Cannot check ${x.dtype} [${x.shape}] into ${broken.dtype} [${broken.shape}]`,
    );
  }
  device.run(kernel, {
    bind: { x, broken },
    params: { count: x.elements },
    workgroups: grid(Math.ceil(x.elements / 64)),
  });
}
