import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import philox from "../shared/philox.wgsl" with { type: "text" };
import { spread } from "../shared/spread.ts";
import source from "./draw_strengths.wgsl" with { type: "text" };

const kernel = defineKernel("draw_strengths", source, ["y"], [
  "count",
  "scales",
  "seed",
  "step",
  "image",
  "levels",
  "most",
  "odds",
]);

/** Where random numbers of training come from: Philox4x32-10, whose key is (seed, step). */
export interface RandomSource {
  /** Seed of the training, 32 bits. */
  readonly seed: number;
  /** Step of the training, 32 bits: each has numbers of its own. */
  readonly step: number;
  /** Number of the first image of the batch in its step; 0 if absent. */
  readonly image?: number;
}

/** Arguments of {@link drawStrengths}. */
export interface DrawStrengthsArgs {
  /** [B, S] f32. */
  readonly y: Tensor;
  /** Largest probability. */
  readonly most: number;
  /** Whether probabilities are whole hundredths, `most` included, or any number below `most`. */
  readonly hundredths: boolean;
  /** Whether all scales of an image have the same. */
  readonly shared: boolean;
  /** Share of the images whose bits are flipped at all; 1 if absent. */
  readonly odds?: number;
  /** Seed and step. */
  readonly random: RandomSource;
}

/**
 * Draws how many bits of each image and scale are flipped, evenly up to `most`: `hundredths` as bitwise self-correction
 * does (`flip_requant` in infinity/models/bitwise_self_correction.py). Counter = (image,
 * scale, 2³² − 1, 0), and (image, 0, 2³² − 1, 1) for whether an image has flips.
 *
 * @throws {KernelError} `bad-shape`: y is not [B, S] f32.
 */
export function drawStrengths(device: Device, args: DrawStrengthsArgs): void {
  const { y, most, hundredths, shared, odds = 1, random: { seed, step, image = 0 } } = args;
  const [, scales = 0] = y.shape;
  if (y.dtype !== "f32" || y.shape.length !== 2) {
    throw new KernelError("bad-shape", `Cannot draw strengths into ${y.dtype} [${y.shape}]`);
  }
  const { WG, workgroups } = spread(device, y.elements);
  device.run(kernel, {
    specialise: { WG, SHARED: shared },
    functions: philox,
    bind: { y },
    params: {
      count: y.elements,
      scales,
      seed,
      step,
      image,
      // 100 · most may lie a rounding below a whole number
      levels: hundredths ? Math.floor(100 * most + 1 + 1e-9) : 0,
      most,
      odds,
    },
    workgroups,
  });
}
