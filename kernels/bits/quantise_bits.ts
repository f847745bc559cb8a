import { type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { resample } from "./resample.ts";

/** Arguments of {@link quantiseBits}. */
export interface QuantiseBitsArgs {
  /** The residual: features minus the codes of earlier scales, [B, H, W, d] f32. */
  readonly x: Tensor;
  /** [B, height·width, d] u32, 0 or 1. */
  readonly bits: Tensor;
  /** Rows of the scale. */
  readonly height: number;
  /** Columns of the scale. */
  readonly width: number;
}

/**
 * Computes the bits of one scale: resizes the residual by area and takes the sign of each value, 1 above zero (binary
 * spherical quantisation, section 3.2 of the paper; `MultiScaleBSQ` in infinity/models/bsq_vae/multiscale_bsq.py).
 * Projecting a vector onto the sphere changes no sign, so it is left out.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function quantiseBits(device: Device, { x, bits, height, width }: QuantiseBitsArgs): void {
  const [B = 0, , , d = 0] = x.shape;
  if (x.shape.length !== 4 || bits.shape.join() !== [B, height * width, d].join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot quantise [${x.shape}] to bits [${bits.shape}], ${height} × ${width} positions`,
    );
  }
  resample(device, { x, y: bits.reshape(B, height, width, d), mode: "area" });
}
