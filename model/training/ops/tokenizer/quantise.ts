import type { Tensor } from "../../../../engine/mod.ts";
import { accumulateCodes } from "../../../../kernels/bits/accumulate_codes.ts";
import { drawStrengths, type RandomSource } from "../../../../kernels/bits/draw_strengths.ts";
import { flipBits } from "../../../../kernels/bits/flip_bits.ts";
import { quantiseBits } from "../../../../kernels/bits/quantise_bits.ts";
import { resample } from "../../../../kernels/bits/resample.ts";
import { resampleBackward } from "../../../../kernels/bits/resample_backward.ts";
import { unitVectors } from "../../../../kernels/bits/unit_vectors.ts";
import { unitVectorsBackward } from "../../../../kernels/bits/unit_vectors_backward.ts";
import { accumulate } from "../../../../kernels/elementwise/accumulate.ts";
import { codeLosses, type CodeLossWeights } from "../../../../kernels/losses/code_losses.ts";
import type { Gradient } from "../../../../kernels/shared/gradient.ts";
import type { Grid } from "../../../config/grid.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** Arguments of {@link quantise}. */
export interface QuantiseOptions {
  /** Grids of the scales in positions of the VAE, coarse to fine. */
  readonly schedule: readonly Grid[];
  /** Flips random bits of each image, so that the decoder bears a transformer's mistakes. */
  readonly flips?: {
    /** Largest probability; each image has its own up to that. */
    readonly most: number;
    /** Share of the images that have flips; 1 if absent. */
    readonly odds?: number;
    /** Seed and step of random numbers. */
    readonly random: RandomSource;
  };
  /** How many of the last scales are left out, so that the first ones carry more; 0 if absent. The first is kept. */
  readonly dropScales?: number;
  /** Losses that push vectors towards codes: their mean over scales. Sent when the tape is unwound. */
  readonly losses?: CodeLossWeights & {
    /** [4] f32 for a log: the means over scales of what `codeLosses` says. */
    readonly stats?: Gradient;
  };
}

/** A scale that gradients go back through. */
interface Scale {
  /** What was quantised: the residual, resized by area, [B, h, w, d] f32. */
  readonly vectors: Tensor;
  /** Gradient of the losses by its unit vectors; null without losses. */
  readonly pushes: Tensor | null;
}

/**
 * z [B, H, W, d] f32: features h quantised at every scale by binary spherical quantisation (arXiv 2412.04431, section
 * 3.2; `MultiScaleBSQ` in infinity/models/bsq_vae/multiscale_bsq.py), the sum of their codes. Gradients go straight
 * through: by n = v / |v| in place of its code, where v is the residual resized by area. The residual counts earlier
 * codes as constants.
 */
export function quantise(tape: Tape, h: Variable, options: QuantiseOptions): Variable {
  const { device, lossScale } = tape;
  const { flips, dropScales = 0, losses } = options;
  const schedule = options.schedule.slice(0, Math.max(1, options.schedule.length - dropScales));
  const [B = 0, , , d = 0] = h.value.shape;
  const features = h.value.shape;
  const z = tape.output(features, "sum of codes", "f32");
  using residual = device.tensor("f32", features, "residual");
  accumulate(device, h.value, { tensor: residual, add: false });
  using strengths = flips ? device.tensor("f32", [B, schedule.length], "strengths") : null;
  if (flips) drawStrengths(device, { ...flips, y: strengths!, hundredths: false, shared: true });
  const push = (vectors: Tensor, s: number): Tensor | null => {
    if (!losses) return null;
    const { stats, ...weights } = losses;
    using n = device.tensor("f32", vectors.shape, "unit vectors");
    unitVectors(device, { x: vectors, y: n });
    const pushes = device.tensor("f32", vectors.shape, "gradient of codes");
    const gradient: Gradient = { tensor: pushes, add: false };
    const sums = stats ? { tensor: stats.tensor, add: stats.add || s > 0 } : null;
    codeLosses(device, {
      n,
      ...weights,
      gradient,
      part: 1 / schedule.length,
      scale: lossScale,
      stats: sums,
    });
    return pushes;
  };
  const scales = schedule.map(([height, width], s): Scale | null => {
    using bits = device.tensor("u32", [B, height * width, d], "bits");
    quantiseBits(device, { x: residual, bits, height, width });
    let scale: Scale | null = null;
    if (h.wanted) {
      const vectors = device.tensor("f32", [B, height, width, d], "vectors of a scale");
      resample(device, { x: residual, y: vectors, mode: "area" });
      scale = { vectors, pushes: push(vectors, s) };
    }
    using flipped = flips ? device.tensor("u32", bits.shape, "flipped bits") : null;
    if (flips) {
      const random = { strengths: strengths!, scale: s, random: flips.random };
      flipBits(device, { x: bits, first: 0, y: flipped!, flips: random });
    }
    const codes = { bits: flipped ?? bits, height, width, patchify: false };
    accumulateCodes(device, { ...codes, sum: z, first: s === 0 });
    accumulateCodes(device, { ...codes, sum: residual, first: false, subtract: true });
    return scale;
  });
  const kept = scales.filter((scale) => scale !== null);
  const saved = kept.flatMap(({ vectors, pushes }) => pushes ? [vectors, pushes] : [vectors]);
  return tape.record(z, [h], (dz) => {
    const dh = device.tensor("f32", features, "gradient of features");
    kept.forEach(({ vectors, pushes }, s) => {
      using own = pushes ? null : device.tensor("f32", vectors.shape, "gradient of codes");
      const dn = pushes ?? own!;
      resampleBackward(device, {
        dy: dz,
        dx: { tensor: dn, add: pushes !== null },
        mode: "linear",
      });
      using dv = device.tensor("f32", vectors.shape, "gradient of vectors");
      unitVectorsBackward(device, { x: vectors, dy: dn, dx: { tensor: dv, add: false } });
      resampleBackward(device, { dy: dv, dx: { tensor: dh, add: s > 0 }, mode: "area" });
    });
    h.take(dh);
  }, saved);
}
