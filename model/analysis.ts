/**
 * Measurements: how much images differ, how much information the bits of each scale carry, how much the image depends
 * on them (arXiv 2412.04431, section 3.2: residual bits, coarse to fine), and how much memory a generation takes.
 *
 * @module
 */

import { InputError } from "../engine/mod.ts";
import {
  checkImageBits,
  checkSeed,
  type ImageBits,
  otherScales,
  takeScales,
} from "./bits/image_bits.ts";
import { shuffled } from "./bits/philox.ts";
import { describe, isWhole } from "./config/check_value.ts";
import type { Grid } from "./config/grid.ts";
import { checkSensitivityOptions } from "./generate/check_options.ts";
import { decibels, squaredError } from "./image/metrics.ts";
import type { Image } from "./image/png.ts";

export type { EditPlan, GenerationPlan } from "./generate/editing.ts";
export type { Plan } from "./generate/plan/plan.ts";
export { planGeneration } from "./generate/plan_generation.ts";
export { psnr, ssim } from "./image/metrics.ts";
export {
  fitMemory,
  type MemoryOptions,
  type MemoryPlan,
  planMemory,
  type StageMemory,
} from "./memory_plan.ts";

/** Limits of a batch for the decoder, in images and in pixels; a larger image forms a batch of its own. */
const MOST_IMAGES = 16;
const MOST_PIXELS = 2 ** 20;

/** The most trials: their images are counted before the work begins. */
const MOST_TRIALS = 10_000;

/** Default shares of bits to flip. */
export const FLIP_SHARES: readonly number[] = [0.01, 0.05, 0.25];

/** How the bits of a scale are distributed. */
export interface ScaleEntropy {
  /** Rows and columns of the scale. */
  readonly grid: Grid;
  /** Number of bits in one image. */
  readonly bits: number;
  /** Number of values that the estimate for each channel is based on: positions times images. */
  readonly samples: number;
  /** Share of ones among all bits, from 0 to 1. */
  readonly ones: number;
  /** Entropy of a bit, mean over the channels, in bits: 0 if it never changes, 1 if both values are equally likely. */
  readonly entropy: number;
}

/** How the image changes when bits of a scale are missing or wrong. */
export interface ScaleSensitivity {
  /** Rows and columns of the scale. */
  readonly grid: Grid;
  /** PSNR in dB of the image of all scales up to this one, against the complete image; `Infinity` at the last. */
  readonly upTo: number;
  /** One entry per share of flipped bits, in the given order. */
  readonly flips: readonly FlipSensitivity[];
}

/** How the image changes when a share of a scale's bits is flipped. */
export interface FlipSensitivity {
  /** The requested share, above 0 and at most 1. */
  readonly share: number;
  /** Number of flipped bits in each image. */
  readonly flips: number;
  /** PSNR in dB against the unflipped image, from the mean squared error over images and trials. */
  readonly psnr: number;
  /** √(mean squared error / flips): the cost of one bit in levels of 0 to 255, if errors add up independently. */
  readonly levelsPerFlip: number;
}

/** Options of {@link flipSensitivity}. */
export interface SensitivityOptions {
  /** Shares of a scale's bits to flip, above 0 and at most 1; {@link FLIP_SHARES} if absent. */
  readonly shares?: readonly number[];
  /** Number of random choices of bits for each image, scale and share; 2 if absent. */
  readonly trials?: number;
  /** Seed of the first image, 0 if absent; image i uses seed + i. */
  readonly seed?: bigint;
  /** Stops the work between two batches, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called after each batch with the number of images decoded so far, and of all images to decode. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Computes the entropy of the bits of each scale, as the mean over the channels. The entropy of a channel follows from
 * its share of ones over all positions and images. This is the plain estimate, without the correction of Miller (1955):
 * with n samples it is too low by about 0.72/n bits.
 *
 * @example
 * ```ts
 * import { bitEntropy } from "@bitwise/infinity/analysis";
 *
 * const schedule = [[1, 2]] as const;
 * const bits = { width: 16, height: 8, d: 2, latent: [1, 2], schedule } as const;
 * bitEntropy([{ ...bits, scales: [Uint8Array.of(0, 1, 1, 1)] }]); // entropy (1 + 0) / 2
 * ```
 *
 * @throws {InputError} `other-bits`: the images have different scales; `bad-value`: there are no images.
 */
export function bitEntropy(images: readonly ImageBits[]): ScaleEntropy[] {
  const { d, schedule } = alike(images);
  const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / d;
  return schedule.map((grid, s) => {
    const positions = grid[0] * grid[1];
    const samples = positions * images.length;
    const ones = new Float64Array(d);
    for (const { scales } of images) {
      for (const [i, bit] of scales[s]!.entries()) ones[i % d]! += bit;
    }
    const shares = ones.map((count) => count / samples);
    const entropy = mean(shares.map(binaryEntropy));
    return { grid, bits: positions * d, samples, ones: mean(shares), entropy };
  });
}

/** Shannon's entropy of a bit that is 1 with probability `p`, in bits. */
function binaryEntropy(p: number): number {
  return p > 0 && p < 1 ? -p * Math.log2(p) - (1 - p) * Math.log2(1 - p) : 0;
}

/**
 * Measures what the bits of each scale contribute: decodes each image from its first scales alone, and with shares of
 * one scale's bits flipped at random, and compares with the complete image. Within a trial, the flips of a larger share
 * include those of a smaller one. The same seed gives the same numbers.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import { flipSensitivity } from "@bitwise/infinity/analysis";
 *
 * using model = await InfinityModel.load();
 * const { images } = await model.generate({ prompt: "red apple" });
 * const bits = images.map((image) => image.bits);
 * const scales = await flipSensitivity((list) => model.decode(list), bits, { trials: 1 });
 * console.log(scales.map(({ grid, upTo, flips }) => [grid, upTo, flips[0]!.psnr]));
 * ```
 *
 * @param decode Decodes bits with the same scales, as `InfinityModel.decode` does; receives at most 16 at a time.
 * @throws {InputError} `other-bits`: the images have different scales; `bad-value`: there are no images, or an
 * option is out of range.
 * @throws The reason of `signal`, once it is aborted.
 */
export async function flipSensitivity(
  decode: (images: readonly ImageBits[]) => Promise<readonly Image[]>,
  images: readonly ImageBits[],
  options: SensitivityOptions = {},
): Promise<ScaleSensitivity[]> {
  checkSensitivityOptions(options);
  const { shares = FLIP_SHARES, trials = 2, seed = 0n, signal, onProgress } = options;
  const { schedule, width, height } = alike(images);
  checkOptions(decode, shares, trials, seed);
  const size = Math.min(MOST_IMAGES, Math.max(1, Math.floor(MOST_PIXELS / (width * height))));
  const total = images.length * schedule.length * (1 + trials * shares.length);
  let done = 0;
  const decodeBatch = async (batch: readonly ImageBits[]) => {
    signal?.throwIfAborted();
    const made = await decode(batch);
    if (!Array.isArray(made) || made.length !== batch.length) {
      throw new InputError(
        "bad-type",
        `Cannot compare ${describe(made)}: decode() must return an image for each of its bits`,
      );
    }
    done += batch.length;
    onProgress?.(done, total);
    return made;
  };

  const originals: Image[] = [];
  for (const batch of batches(images, size)) originals.push(...await decodeBatch(batch));
  const measure = async (variants: Iterable<Variant>) => {
    for (const batch of batches(variants, size)) {
      const made = await decodeBatch(batch.map(({ bits }) => bits));
      for (const [i, { of, errors }] of batch.entries()) {
        errors.push(squaredError(made[i]!, originals[of]!));
      }
    }
  };
  const upTo = schedule.map((): number[] => []);
  for (const [s, errors] of upTo.slice(0, -1).entries()) {
    await measure(images.map((bits, of) => ({ of, bits: takeScales(bits, s + 1), errors })));
  }
  const flipped = schedule.map(() => shares.map((): number[] => []));
  await measure(variants(images, shares, trials, seed, flipped));

  return schedule.map((grid, s) => ({
    grid,
    upTo: decibels(mean(upTo[s]!)),
    flips: shares.map((share, i) => {
      const flips = flipCount(share, images[0]!.scales[s]!.length);
      const error = mean(flipped[s]![i]!);
      return { share, flips, psnr: decibels(error), levelsPerFlip: Math.sqrt(error / flips) };
    }),
  }));
}

/** Changed bits, to decode and compare. */
interface Variant {
  /** Index of the original image. */
  readonly of: number;
  readonly bits: ImageBits;
  /** Receives the mean squared error. */
  readonly errors: number[];
}

/** Every image with every share of every scale flipped; `errors` are by scale and share. */
function* variants(
  images: readonly ImageBits[],
  shares: readonly number[],
  trials: number,
  seed: bigint,
  errors: readonly (readonly number[][])[],
): Generator<Variant> {
  for (const [s, byShare] of errors.entries()) {
    for (const [of, image] of images.entries()) {
      const key = BigInt.asUintN(64, seed + BigInt(of));
      const bits = image.scales[s]!;
      for (let trial = 0; trial < trials; trial++) {
        const order = shuffled([...bits.keys()], key, trial * errors.length + s);
        for (const [i, share] of shares.entries()) {
          const flipped = bits.slice();
          for (const at of order.slice(0, flipCount(share, bits.length))) flipped[at]! ^= 1;
          const scales = image.scales.with(s, flipped);
          yield { of, bits: { ...image, scales }, errors: byShare[i]! };
        }
      }
    }
  }
}

/** Number of bits in a share: rounds up, except for a rounding error of the product. */
function flipCount(share: number, bits: number): number {
  return Math.max(1, Math.ceil(share * bits - 1e-6));
}

function* batches<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Mean of errors. The mean of decibels would be infinite for one perfect image. */
function mean(errors: readonly number[]): number {
  return errors.length ? errors.reduce((sum, error) => sum + error, 0) / errors.length : 0;
}

function checkOptions(
  decode: unknown,
  shares: readonly number[],
  trials: number,
  seed: bigint,
): void {
  if (typeof decode !== "function") {
    throw new InputError("bad-type", `Cannot decode with ${describe(decode)}: give a function`);
  }
  checkSeed(seed);
  const bad = shares.find((share) => !(share > 0 && share <= 1));
  if (bad !== undefined || shares.length === 0) {
    const what = bad === undefined ? "no share" : `a share of ${bad}`;
    throw new InputError(
      "bad-value",
      `Cannot flip ${what} of the bits: give shares above 0 and at most 1`,
    );
  }
  if (!isWhole(trials, 1, MOST_TRIALS)) {
    throw new InputError(
      "bad-value",
      `Cannot flip bits in ${trials} trials: use 1 to ${MOST_TRIALS}`,
    );
  }
}

/** The first image, if all others have the same scales. */
function alike(images: readonly ImageBits[]): ImageBits {
  if (!Array.isArray(images) || images.length === 0) {
    throw new InputError("bad-value", "Cannot analyse bits without an image: give one or more");
  }
  for (const image of images) checkImageBits(image, "analyse");
  const [first, ...others] = images as [ImageBits, ...ImageBits[]];
  for (const [i, other] of others.entries()) {
    const why = otherScales(first, other);
    if (!why) continue;
    throw new InputError("other-bits", `Cannot analyse images 0 and ${i + 1} together: ${why}`);
  }
  return first;
}
