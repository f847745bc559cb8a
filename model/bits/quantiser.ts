/**
 * Multi-scale residual binary spherical quantisation (arXiv 2412.04431, section 3.2; `MultiScaleBSQ` in
 * infinity/models/bsq_vae/multiscale_bsq.py): features to bits, scale by scale, and back to the sum of their codes.
 *
 * @module
 */

import type { Device, Tensor } from "../../engine/mod.ts";
import { accumulateCodes } from "../../kernels/bits/accumulate_codes.ts";
import { quantiseBits } from "../../kernels/bits/quantise_bits.ts";
import type { Grid } from "../config/grid.ts";

/**
 * Quantises features, in f32. Each scale encodes the signs of the residual, resized by area; its codes ±1/√d, resized
 * linearly, are subtracted from the residual before the next scale.
 *
 * @param features [B, h, w, d] f32; they stay the caller's.
 * @param schedule Grids of the scales in positions of the VAE, of any size; the last is usually h × w.
 * @returns Bits by scale [B, height·width, d] u32, which the caller owns.
 */
export function quantiseFeatures(
  device: Device,
  features: Tensor,
  schedule: readonly Grid[],
): Tensor[] {
  const [B = 0, , , d = 0] = features.shape;
  return device.allOrNothing(() => {
    using residual = device.tensor("f32", features.shape, "residual");
    device.copy(features, residual);
    return schedule.map(([height, width], s) => {
      const bits = device.tensor("u32", [B, height * width, d], "bits");
      quantiseBits(device, { x: residual, bits, height, width });
      // the residual of the last scale is not needed
      if (s + 1 < schedule.length) {
        const less = { sum: residual, first: false, subtract: true, patchify: false };
        accumulateCodes(device, { bits, height, width, ...less });
      }
      return bits;
    });
  });
}

/**
 * Sums the codes of some scales, resized to the latent grid, in a new tensor [B, h, w, d] f32.
 *
 * @param bits Bits by scale, [B, height·width, d] u32; at least one scale.
 * @param latent The grid h × w that all scales are resized to.
 */
export function sumCodes(
  device: Device,
  bits: readonly Tensor[],
  schedule: readonly Grid[],
  latent: Grid,
): Tensor {
  const [B = 0, , d = 0] = bits[0]!.shape;
  const sum = device.tensor("f32", [B, ...latent, d], "sum of codes");
  for (const [s, scale] of bits.entries()) {
    const [height, width] = schedule[s]!;
    accumulateCodes(device, { bits: scale, sum, height, width, first: s === 0, patchify: false });
  }
  return sum;
}
