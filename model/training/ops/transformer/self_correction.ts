import type { Device, Tensor } from "../../../../engine/mod.ts";
import { accumulateCodes } from "../../../../kernels/bits/accumulate_codes.ts";
import { drawStrengths, type RandomSource } from "../../../../kernels/bits/draw_strengths.ts";
import { flipBits, type Flips } from "../../../../kernels/bits/flip_bits.ts";
import { resample } from "../../../../kernels/bits/resample.ts";
import { accumulate } from "../../../../kernels/elementwise/accumulate.ts";
import type { FloatType } from "../../../../kernels/linear/weight_types.ts";
import type { Grid } from "../../../config/grid.ts";

/** Arguments of {@link selfCorrection}. */
export interface SelfCorrectionOptions {
  /** Features of the encoder, [B, H, W, d] f32 or f16. */
  readonly features: Tensor;
  /** Grids of tokens of the scales that are trained, coarse to fine: all of a schedule, or the first ones. */
  readonly schedule: readonly Grid[];
  /** Whether a token holds the bits of a 2 × 2 square of positions (`apply_spatial_patchify`). */
  readonly patchify: boolean;
  /** Largest probability of a flip (`noise_apply_strength`); each image and scale has its own up to that. */
  readonly strength: number;
  /** Share of the images whose bits are flipped at all; 1 if absent. */
  readonly share?: number;
  /** Scales from the first on whose bits are flipped (`noise_apply_layers`); all if absent. */
  readonly layers?: number;
  /**
   * Whether the sum goes on from the flipped bits, which later scales then mend (`noise_apply_requant`); true if absent.
   * If not, flips change nothing, as in the official code.
   */
  readonly requantise?: boolean;
  /** Seed and step of random numbers. */
  readonly random: RandomSource;
  /** Type of the inputs; f32 if absent. */
  readonly dtype?: FloatType;
  /** Flips these bits in place of random ones: [B, tokens, bits of a token] u32 by scale. */
  readonly masks?: readonly Tensor[];
}

/** What the transformer learns from: its inputs, and the bits that it should make of them. The caller owns both. */
export interface TeacherForcing {
  /** Inputs of all tokens but the first scale's, [B, L − L₀, bits of a token]: `x_BLC_wo_prefix` of the official code. */
  readonly inputs: Tensor;
  /** Target bits of all tokens, before any flip, [B, L, bits of a token] u32. */
  readonly bits: Tensor;
}

/**
 * Bitwise self-correction (arXiv 2412.04431, section 3.4; infinity/models/bitwise_self_correction.py): quantises
 * features scale by scale, flips random bits, and goes on from the mistakes, so that targets of later scales mend them.
 * What a scale sees of those before is the sum of their codes, resized linearly to its grid.
 */
export function selfCorrection(device: Device, options: SelfCorrectionOptions): TeacherForcing {
  const { features, schedule, patchify, strength, random, masks } = options;
  const { layers = schedule.length, requantise = true, dtype = "f32", share = 1 } = options;
  const [B = 0, H = 0, W = 0, d = 0] = features.shape;
  const perToken = patchify ? 4 * d : d;
  const tokens = schedule.map(([h, w]) => h * w);
  const L = tokens.reduce((sum, n) => sum + n, 0);
  return device.allOrNothing(() => {
    const bits = device.tensor("u32", [B, L, perToken], "target bits");
    const inputs = device.tensor(dtype, [B, L - (tokens[0] ?? 0), perToken], "inputs");
    using residual = device.tensor("f32", features.shape, "residual");
    using sum = device.tensor("f32", [B, H, W, d], "sum of codes");
    using strengths = device.tensor("f32", [B, schedule.length], "strengths");
    accumulate(device, features, { tensor: residual, add: false });
    if (!masks) {
      drawStrengths(device, {
        y: strengths,
        most: strength,
        odds: share,
        hundredths: true,
        shared: false,
        random,
      });
    }
    let first = 0;
    schedule.forEach(([height, width], s) => {
      const place = { height, width, first };
      resample(device, { x: residual, y: bits, mode: "area", unshuffle: patchify, place });
      const flips: Flips = s >= layers || !requantise
        ? null
        : masks
        ? { mask: masks[s]! }
        : { strengths, scale: s, random };
      const next = schedule[s + 1];
      first += height * width;
      if (!next) return;
      using codes = device.tensor("u32", [B, height * width, perToken], "bits");
      flipBits(device, { x: bits, first: place.first, y: codes, flips });
      const added = { bits: codes, height, width, patchify };
      accumulateCodes(device, { ...added, sum, first: s === 0 });
      accumulateCodes(device, { ...added, sum: residual, first: false, subtract: true });
      const [nextHeight, nextWidth] = next;
      const to = { height: nextHeight, width: nextWidth, first: first - tokens[0]! };
      resample(device, { x: sum, y: inputs, mode: "linear", unshuffle: patchify, place: to });
    });
    return { inputs, bits };
  });
}
