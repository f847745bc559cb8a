/** Measures how similar two images are. */

import { InputError } from "../../engine/mod.ts";
import { checkShape } from "./base/shape.ts";
import type { Image } from "./png.ts";

const PEAK = 255;
const WINDOW = 11;
const SIGMA = 1.5;
const C1 = (0.01 * PEAK) ** 2;
const C2 = (0.03 * PEAK) ** 2;

/**
 * Computes the peak signal-to-noise ratio of two images: 10 log10(255² / MSE), over red, green and blue.
 *
 * @param a An image of one pixel or more; alpha is ignored.
 * @param b An image of the same size.
 * @returns Decibels: 0 for black against white, `Infinity` for equal colours.
 *
 * @example
 * ```ts
 * import { psnr } from "@bitwise/infinity/analysis";
 *
 * const dot = (red: number) => ({ width: 1, height: 1, rgba: new Uint8Array([red, 0, 0, 255]) });
 * psnr(dot(10), dot(11)); // 52.9 dB
 * ```
 *
 * @throws {InputError} `image-size`: the sizes differ. `image-shape`: one does not match its pixels.
 */
export function psnr(a: Image, b: Image): number {
  return decibels(squaredError(a, b));
}

/** Computes the mean squared error over red, green and blue, in squared levels of 0 to 255; see {@linkcode psnr}. */
export function squaredError(a: Image, b: Image): number {
  checkSizes(a, b);
  let sum = 0;
  for (let i = 0; i < a.rgba.length; i += 4) {
    for (let c = 0; c < 3; c++) sum += (a.rgba[i + c]! - b.rgba[i + c]!) ** 2;
  }
  return sum / (a.width * a.height * 3);
}

/** Converts a mean squared error to a peak signal-to-noise ratio in dB. */
export function decibels(squaredError: number): number {
  return 10 * Math.log10(PEAK ** 2 / squaredError);
}

/**
 * Computes the structural similarity of two images, the mean over windows and over red, green and blue.
 *
 * Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
 * structural similarity", 2004: Gaussian windows of 11x11 with a sigma of 1.5 inside the image,
 * K1 = 0.01, K2 = 0.03, L = 255. A smaller image gets windows of the largest odd size that fits.
 * Unlike in some implementations, images are not scaled down first.
 *
 * @param a An image of one pixel or more; alpha is ignored.
 * @param b An image of the same size.
 * @returns A value from -1 to 1; 1 for equal colours.
 *
 * @example
 * ```ts
 * import { ssim } from "@bitwise/infinity/analysis";
 *
 * const grey = (value: number) => ({ width: 8, height: 8, rgba: new Uint8Array(256).fill(value) });
 * ssim(grey(100), grey(150)); // 0.92
 * ```
 *
 * @throws {InputError} `image-size`: the sizes differ. `image-shape`: one does not match its pixels.
 */
export function ssim(a: Image, b: Image): number {
  checkSizes(a, b);
  const { width, height } = a;
  const weights = gaussian(Math.min(WINDOW, width, height));
  const columns = {
    a: new Float64Array(width),
    b: new Float64Array(width),
    squares: new Float64Array(width),
    products: new Float64Array(width),
  };
  const [across, down] = [width - weights.length + 1, height - weights.length + 1];
  let sum = 0;
  for (let channel = 0; channel < 3; channel++) {
    for (let top = 0; top < down; top++) {
      sumColumns(a, b, 4 * top * width + channel, weights, columns);
      sum += sumRow(columns, weights);
    }
  }
  return sum / (3 * across * down);
}

/** Returns Gaussian weights that add up to 1; their count is the largest odd number up to `most`. */
function gaussian(most: number): Float64Array {
  const radius = Math.floor((most - 1) / 2);
  const bell = Float64Array.from(
    { length: 2 * radius + 1 },
    (_, i) => Math.exp(-((i - radius) ** 2) / (2 * SIGMA ** 2)),
  );
  const total = bell.reduce((x, y) => x + y);
  return bell.map((weight) => weight / total);
}

/** Weighted sums along a row of pixels: of a, b, a² + b² and ab. */
interface Sums {
  a: Float64Array;
  b: Float64Array;
  /** Of a² + b². */
  squares: Float64Array;
  /** Of ab. */
  products: Float64Array;
}

/** Sums the columns of the windows whose first row begins at byte `start`. */
function sumColumns(a: Image, b: Image, start: number, weights: Float64Array, out: Sums): void {
  for (let x = 0; x < a.width; x++) {
    let [sumA, sumB, squares, products] = [0, 0, 0, 0];
    for (let k = 0, at = start + 4 * x; k < weights.length; k++, at += 4 * a.width) {
      const [weight, p, q] = [weights[k]!, a.rgba[at]!, b.rgba[at]!];
      sumA += weight * p;
      sumB += weight * q;
      squares += weight * (p * p + q * q);
      products += weight * (p * q);
    }
    out.a[x] = sumA;
    out.b[x] = sumB;
    out.squares[x] = squares;
    out.products[x] = products;
  }
}

/** Sums the similarities of the windows along a row: equation 13 of the paper. */
function sumRow(columns: Sums, weights: Float64Array): number {
  let total = 0;
  for (let left = 0; left + weights.length <= columns.a.length; left++) {
    let [meanA, meanB, squares, products] = [0, 0, 0, 0];
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k]!;
      meanA += weight * columns.a[left + k]!;
      meanB += weight * columns.b[left + k]!;
      squares += weight * columns.squares[left + k]!;
      products += weight * columns.products[left + k]!;
    }
    const power = meanA * meanA + meanB * meanB;
    const product = meanA * meanB;
    total += (2 * product + C1) * (2 * (products - product) + C2) /
      ((power + C1) * (squares - power + C2));
  }
  return total;
}

function checkSizes(a: Image, b: Image): void {
  for (const image of [a, b]) checkShape("compare", image, "rgba");
  if (a.width === b.width && a.height === b.height) return;
  throw new InputError(
    "image-size",
    `Cannot compare the images: one is ${b.width}x${b.height}, not ${a.width}x${a.height}`,
  );
}
