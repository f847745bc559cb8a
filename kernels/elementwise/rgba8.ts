import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./rgba8.wgsl" with { type: "text" };

const kernel = defineKernel("rgba8", source, ["x", "y"], ["pixels"]);

/** Arguments of {@link rgba8}. */
export interface Rgba8Args {
  /** [B, H, W, 3] f32: -1 is black, 1 is white; values beyond are clamped. */
  readonly x: Tensor;
  /** [B, H, W] u32: bytes R, G, B and 255 in memory order. */
  readonly y: Tensor;
}

/**
 * y = RGBA bytes of x: trunc((clamp(x, -1, 1) + 1) / 2 · 255), as the official code does it
 * (`autoregressive_infer_cfg` in infinity/models/infinity.py), except that it then flips RGB to BGR.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function rgba8(device: Device, { x, y }: Rgba8Args): void {
  if (x.shape.at(-1) !== 3 || x.elements !== y.elements * 3 || y.dtype !== "u32") {
    throw new KernelError("bad-shape", `Cannot make RGBA [${y.shape}] of [${x.shape}]`);
  }
  const { WG, workgroups } = spread(device, y.elements);
  device.run(kernel, {
    specialise: { WG },
    bind: { x, y },
    params: { pixels: y.elements },
    workgroups,
  });
}
