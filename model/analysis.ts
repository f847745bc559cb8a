/**
 * Measures: how images differ, what the bits of each scale hold and are worth to the image (arXiv 2412.04431, section
 * 3.2: residual bits, coarse to fine), and what memory a generation takes.
 *
 * @module
 */

import { InputError } from "../engine/mod.ts";
import { type ImageBits, otherScales, takeScales } from "./bits/image_bits.ts";
import { shuffled } from "./bits/philox.ts";
import type { Grid } from "./config/grid.ts";
import { decibels, squaredError } from "./image/metrics.ts";
import type { Image } from "./image/png.ts";

export type { EditPlan, GenerationPlan } from "./generate/editing.ts";
export type { Plan } from "./generate/plan.ts";
export { planGeneration } from "./generate/plan_generation.ts";
export { psnr, ssim } from "./image/metrics.ts";
export {
  fitMemory,
  type MemoryOptions,
  type MemoryPlan,
  planMemory,
  type StageMemory,
} from "./memory_plan.ts";

/** Images that go through the decoder together, and their pixels; an image of more goes alone. */
const MOST_IMAGES = 16;
const MOST_PIXELS = 2 ** 20;

/** Shares of bits that are flipped if nothing else is said. */
export const FLIP_SHARES: readonly number[] = [0.01, 0.05, 0.25];

/** How the bits of a scale are distributed. */
export interface ScaleEntropy {
  /** Rows, columns. */
  readonly grid: Grid;
  /** Bits of one image. */
  readonly bits: number;
  /** What each channel's share of ones is estimated from: positions of all images. */
  readonly samples: number;
  /** Share of ones among all bits, 0 to 1. */
  readonly ones: number;
  /** Mean over the channels of the entropy of a bit, in bits: 0 if it is always the same, 1 if it is a coin. */
  readonly entropy: number;
}

/** What the image loses when bits of a scale are wrong. */
export interface ScaleSensitivity {
  /** Rows, columns. */
  readonly grid: Grid;
  /** PSNR in dB of the image after this scale against the whole one; `Infinity` after the last. */
  readonly upTo: number;
  /** By share of flipped bits, in the order of the shares. */
  readonly flips: readonly FlipSensitivity[];
}

/** What the image loses when a share of a scale's bits is wrong. */
export interface FlipSensitivity {
  /** Share that was asked for, above 0, at most 1. */
  readonly share: number;
  /** Bits that were flipped in each image. */
  readonly flips: number;
  /** PSNR in dB of the mean squared error, over images and trials, against the unflipped image. */
  readonly psnr: number;
  /** √(mean squared error / flips): what one bit costs in levels of 0 to 255, if flips add up independently. */
  readonly levelsPerFlip: number;
}

/** How {@link flipSensitivity} measures. */
export interface SensitivityOptions {
  /** Shares of a scale's bits to flip, above 0, at most 1 ({@link FLIP_SHARES}). */
  readonly shares?: readonly number[];
  /** Drawings of flips for each image, scale and share (2). */
  readonly trials?: number;
  /** Of the flips of the first image; those after it have the numbers after it (0). */
  readonly seed?: bigint;
  /** Ends it between two batches by throwing its reason. */
  readonly signal?: AbortSignal;
  /** Called after each batch with the number of images that are decoded, and will be. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * The entropy of the bits of each scale: for each channel that of its share of ones over all positions and images
 * (the plain estimate, without the correction of Miller 1955: n samples understate it by about 0.72/n bits), then the
 * mean over the channels.
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
 * @throws {InputError} `other-bits`: the images have different scales; `bad-value`: there is none.
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
 * What the bits of each scale are worth: decodes images after each scale, and with shares of one scale's bits flipped
 * at random, and compares with the images as they are. Of one drawing, the flips of a larger share include those of a
 * smaller one. The same seed gives the same numbers.
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
 * @param decode Bits of the same scales to images, as `InfinityModel.decode` does; gets at most 16 at a time.
 * @throws {InputError} `other-bits`: the images have different scales; `bad-value`: there is none, or an option is
 * out of range.
 * @throws what `signal` was aborted with.
 */
export async function flipSensitivity(
  decode: (images: readonly ImageBits[]) => Promise<readonly Image[]>,
  images: readonly ImageBits[],
  options: SensitivityOptions = {},
): Promise<ScaleSensitivity[]> {
  const { shares = FLIP_SHARES, trials = 2, seed = 0n, signal, onProgress } = options;
  const { schedule, width, height } = alike(images);
  checkOptions(shares, trials);
  const size = Math.min(MOST_IMAGES, Math.max(1, Math.floor(MOST_PIXELS / (width * height))));
  const total = images.length * schedule.length * (1 + trials * shares.length);
  let done = 0;
  const decodeBatch = async (batch: readonly ImageBits[]) => {
    signal?.throwIfAborted();
    const made = await decode(batch);
    done += batch.length;
    onProgress?.(done, total);
    return made;
  };

  const whole: Image[] = [];
  for (const batch of batches(images, size)) whole.push(...await decodeBatch(batch));
  const measure = async (variants: Iterable<Variant>) => {
    for (const batch of batches(variants, size)) {
      const made = await decodeBatch(batch.map(({ bits }) => bits));
      for (const [i, { of, errors }] of batch.entries()) {
        errors.push(squaredError(made[i]!, whole[of]!));
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

/** An image to decode, and to compare. */
interface Variant {
  /** Index of the image that it is made of. */
  readonly of: number;
  readonly bits: ImageBits;
  /** Takes its mean squared error. */
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

/** Bits that a share is: rounded up, but for what the product of two doubles has too much. */
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

/** Means of errors, not of decibels: one perfect image would make those infinite. */
function mean(errors: readonly number[]): number {
  return errors.length ? errors.reduce((sum, error) => sum + error, 0) / errors.length : 0;
}

function checkOptions(shares: readonly number[], trials: number): void {
  const bad = shares.find((share) => !(share > 0 && share <= 1));
  if (bad !== undefined || shares.length === 0) {
    const what = bad === undefined ? "no share" : `a share of ${bad}`;
    throw new InputError(
      "bad-value",
      `Cannot flip ${what} of the bits: give shares above 0 up to 1`,
    );
  }
  if (!Number.isInteger(trials) || trials < 1) {
    throw new InputError("bad-value", `Cannot flip bits in ${trials} trials: use 1 or more`);
  }
}

/** The first image, if all have its scales. */
function alike(images: readonly ImageBits[]): ImageBits {
  const [first, ...others] = images;
  if (!first) throw new InputError("bad-value", "Cannot analyze no images: give one or more");
  for (const [i, other] of others.entries()) {
    const why = otherScales(first, other);
    if (!why) continue;
    throw new InputError("other-bits", `Cannot analyze images 0 and ${i + 1} together: ${why}`);
  }
  return first;
}
