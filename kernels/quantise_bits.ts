import { defineKernel, type Device, grid, KernelError, type Tensor } from "../engine/mod.ts";
import source from "./quantise_bits.wgsl" with { type: "text" };
import resizeArea from "./resize_area.wgsl" with { type: "text" };

const kernel = defineKernel("quantise_bits", source, ["x", "bits"], [
  "count",
  "height",
  "width",
  "in_height",
  "in_width",
  "C",
]);

/** Arguments of {@link quantiseBits}. */
export interface QuantiseBitsArgs {
  /** What is left to be told, [B, H, W, d] f32. */
  readonly x: Tensor;
  /** [B, height·width, d] u32, 0 or 1. */
  readonly bits: Tensor;
  /** Rows of the scale. */
  readonly height: number;
  /** Columns of the scale. */
  readonly width: number;
}

/**
 * The bits of one scale: the residual resized by area, each value's sign, 1 above zero (binary spherical quantisation,
 * section 3.2 of the paper; `MultiScaleBSQ` in infinity/models/bsq_vae/multiscale_bsq.py).
 *
 * @throws {KernelError} if shapes disagree.
 */
export function quantiseBits(device: Device, { x, bits, height, width }: QuantiseBitsArgs): void {
  const [B = 0, H = 0, W = 0, d = 0] = x.shape;
  if (x.shape.length !== 4 || bits.shape.join() !== [B, height * width, d].join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot quantise [${x.shape}] to bits [${bits.shape}], ${height} × ${width} positions`,
    );
  }
  device.run(kernel, {
    functions: resizeArea,
    bind: { x, bits },
    params: { count: bits.elements, height, width, in_height: H, in_width: W, C: d },
    workgroups: grid(Math.ceil(bits.elements / 64)),
  });
}
