/** Scales images and masks to cover a size, and crops them to it, with the arithmetic of Pillow. */

import type { Image } from "./png.ts";
import type { RowSource } from "./rows.ts";

/** A resampling filter: weighs pixels by their distance, in pixels of the smaller image. */
interface Filter {
  /** The distance at which it becomes 0. */
  readonly support: number;
  weigh(distance: number): number;
}

/** A source of 8-bit pixels, row by row. */
interface Rows extends Pick<RowSource, "width" | "height"> {
  readonly channels: number;
  /** Writes pixels [from, to) of row `y`, channels interleaved. */
  read(y: number, from: number, to: number, into: Uint8Array): void;
}

/** For each output pixel: its input pixels and their weights, which add up to 1. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, stride] */
  readonly weights: Float64Array;
  readonly stride: number;
}

/** The part of a resized axis that is kept: `size` pixels from `offset`, of `full`. */
interface Crop {
  readonly full: number;
  readonly offset: number;
  readonly size: number;
}

const LANCZOS: Filter = {
  support: 3,
  weigh: (x) => Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0,
};
const BOX: Filter = { support: 0.5, weigh: (x) => x > -0.5 && x <= 0.5 ? 1 : 0 };
// Pillow stores weights as integer multiples of this; doubles add them without rounding.
const UNIT = 2 ** -22;

/** Maps a byte to [0, 1] in float32. */
const UNSIGNED = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);
/** Maps a byte to [-1, 1] in float32, rounded as PyTorch rounds v + v - 1. */
const SIGNED = UNSIGNED.map((value) => value + value - 1);

/**
 * Fits an image to the model's size: scales it with Lanczos to cover width × height, then crops the
 * centre. Transparent parts become white. An image of that size stays as it is.
 *
 * @param image 8-bit RGBA.
 * @param width Pixels across of the result.
 * @param height Pixels down of the result.
 * @returns RGB in [-1, 1], float32 [height, width, 3].
 *
 * @example
 * ```ts
 * import { fitImage } from "./resize.ts";
 *
 * const red = { width: 1, height: 1, rgba: new Uint8Array([255, 0, 0, 255]) };
 * fitImage(red, 2, 1); // 1, -1, -1, 1, -1, -1
 * ```
 */
export function fitImage(
  { width: from, height: rows, rgba }: Image,
  width: number,
  height: number,
): Float32Array<ArrayBuffer> {
  const onWhite: Rows = {
    width: from,
    height: rows,
    channels: 3,
    read(y, start, end, into) {
      let at = 0;
      for (let i = (y * from + start) * 4; i < (y * from + end) * 4; i += 4) {
        const alpha = rgba[i + 3];
        for (let c = 0; c < 3; c++) into[at++] = over(rgba[i + c], alpha, 255);
      }
    },
  };
  return look(SIGNED, cover(onWhite, width, height, LANCZOS));
}

/**
 * Fits a mask to the model's size, aligned with its image: scales it to cover width × height by area
 * means, and crops it as {@linkcode fitImage} does.
 *
 * @param mask 8-bit RGBA; its luminance (Rec. 601) is used, and transparent parts are black.
 * @param width Pixels across of the result.
 * @param height Pixels down of the result.
 * @returns Coverage in [0, 1], float32 [height, width].
 *
 * @example
 * ```ts
 * import { fitMask } from "./resize.ts";
 *
 * const rgba = new Uint8Array([255, 255, 255, 255, 0, 0, 0, 255]);
 * fitMask({ width: 2, height: 1, rgba }, 4, 2); // 1, 1, 0, 0, 1, 1, 0, 0
 * ```
 */
export function fitMask(
  { width: from, height: rows, rgba }: Image,
  width: number,
  height: number,
): Float32Array<ArrayBuffer> {
  const luminance: Rows = {
    width: from,
    height: rows,
    channels: 1,
    read(y, start, end, into) {
      let at = 0;
      for (let i = (y * from + start) * 4; i < (y * from + end) * 4; i += 4) {
        const luma = 0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2];
        into[at++] = over(luma, rgba[i + 3], 0);
      }
    },
  };
  return look(UNSIGNED, cover(luminance, width, height, BOX));
}

function look(table: Float32Array, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) values[i] = table[bytes[i]];
  return values;
}

/** Blends a value of 0 to 255 over another, rounded to an integer. */
function over(value: number, alpha: number, below: number): number {
  return Math.round((value * alpha + below * (255 - alpha)) / 255);
}

/** Scales to cover width × height and crops the centre. Returns bytes [height, width, channels]. */
function cover(rows: Rows, width: number, height: number, filter: Filter): Uint8Array {
  const aspect = rows.width / rows.height;
  const narrow = aspect <= width / height;
  // rounding may leave the longer side a pixel short of the crop
  const full = narrow
    ? { width, height: Math.max(height, Math.trunc(width / aspect)) }
    : { width: Math.max(width, Math.trunc(aspect * height)), height };
  return resize(rows, centre(full.width, width), centre(full.height, height), filter);
}

function centre(full: number, size: number): Crop {
  return { full, offset: Math.floor((full - size) / 2), size };
}

/** Resizes across, then down, rounding to bytes each time; computes the cropped part only. */
function resize(rows: Rows, x: Crop, y: Crop, filter: Filter): Uint8Array {
  const { channels } = rows;
  const across = taps(rows.width, x, filter);
  const down = taps(rows.height, y, filter);
  const [left, right] = span(across);
  const [top, bottom] = span(down);
  const length = x.size * channels;

  const line = new Uint8Array((right - left) * channels);
  const narrowed = new Uint8Array((bottom - top) * length);
  for (let row = top; row < bottom; row++) {
    rows.read(row, left, right, line);
    for (let i = 0, at = (row - top) * length; i < x.size; i++) {
      const from = (across.first[i] - left) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < across.count[i]; k++) {
          sum += across.weights[i * across.stride + k] * line[from + k * channels + c];
        }
        narrowed[at++] = toByte(sum);
      }
    }
  }

  const out = new Uint8Array(y.size * length);
  const sums = new Float64Array(length);
  for (let j = 0; j < y.size; j++) {
    sums.fill(0);
    for (let k = 0; k < down.count[j]; k++) {
      const weight = down.weights[j * down.stride + k];
      const from = (down.first[j] + k - top) * length;
      for (let i = 0; i < length; i++) sums[i] += weight * narrowed[from + i];
    }
    for (let i = 0; i < length; i++) out[j * length + i] = toByte(sums[i]);
  }
  return out;
}

/** Computes the weights for a crop of an axis that is resized from `size` to `full` pixels. */
function taps(size: number, { full, offset, size: kept }: Crop, filter: Filter): Taps {
  const scale = size / full;
  const shrink = Math.max(scale, 1);
  const reach = filter.support * shrink;
  const stride = Math.min(size, 2 * Math.ceil(reach) + 1);
  const first = new Int32Array(kept);
  const count = new Int32Array(kept);
  const weights = new Float64Array(kept * stride);
  for (let i = 0; i < kept; i++) {
    const centre = (offset + i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(size, Math.floor(centre + reach + 0.5));
    const own = weights.subarray(i * stride, i * stride + end - start);
    let total = 0;
    for (let k = 0; k < own.length; k++) {
      own[k] = filter.weigh((start + k + 0.5 - centre) / shrink);
      total += own[k];
    }
    for (let k = 0; k < own.length; k++) own[k] = Math.round(own[k] / total / UNIT) * UNIT;
    first[i] = start;
    count[i] = own.length;
  }
  return { first, count, weights, stride };
}

/** Returns the range [first, end) of input pixels that any output needs. */
function span({ first, count }: Taps): [number, number] {
  const last = first.length - 1;
  return [first[0], first[last] + count[last]];
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function toByte(value: number): number {
  return Math.min(255, Math.max(0, Math.floor(value + 0.5)));
}
