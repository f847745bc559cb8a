/** Scales images and masks to cover a size, and crops them to it, with the arithmetic of Pillow. */

import type { Image } from "./png.ts";
import { type Crop, type Filter, Resizer } from "./resizer.ts";
import { fromBottom, fromRight } from "./base/exif.ts";
import type { RowSource } from "./base/rows.ts";

/** What can be fitted: an image in memory, or a file that is read row by row. */
export type Pixels =
  | Image
  | Pick<RowSource, "width" | "height" | "opaque" | "rows"> & Partial<RowSource>;

/** How pixels become what is resized. */
interface Look {
  readonly channels: 1 | 3;
  readonly filter: Filter;
  /** What a byte of the result stands for. */
  readonly table: Float32Array;
  /** Converts the RGBA pixels from `at` to `end` to channels, each pixel as long as {@linkcode Resizer} wants. */
  convert(rgba: Uint8Array, at: number, end: number, into: Uint8Array): void;
}

const LANCZOS: Filter = {
  support: 3,
  weigh: (x) => Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0,
};
const BOX: Filter = { support: 0.5, weigh: (x) => x > -0.5 && x <= 0.5 ? 1 : 0 };

/** Maps a byte to [0, 1] in float32. */
const UNSIGNED = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);
/** Maps a byte to [-1, 1] in float32, rounded as PyTorch rounds v + v - 1. */
const SIGNED = UNSIGNED.map((value) => value + value - 1);

const ON_WHITE: Look = {
  channels: 3,
  filter: LANCZOS,
  table: SIGNED,
  convert(rgba, at, end, into) {
    for (let to = 0; at < end; at += 4, to += 4) {
      const alpha = rgba[at + 3];
      const white = 255 * (255 - alpha);
      into[to] = divide255(rgba[at] * alpha + white);
      into[to + 1] = divide255(rgba[at + 1] * alpha + white);
      into[to + 2] = divide255(rgba[at + 2] * alpha + white);
    }
  },
};
const LUMINANCE: Look = {
  channels: 1,
  filter: BOX,
  table: UNSIGNED,
  convert(rgba, at, end, into) {
    for (let to = 0; at < end; at += 4) {
      const luma = 0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2];
      into[to++] = Math.round(luma * rgba[at + 3] / 255);
    }
  },
};
const TRANSPARENCY: Look = {
  channels: 1,
  filter: BOX,
  table: UNSIGNED,
  convert(rgba, at, end, into) {
    for (let to = 0; at < end; at += 4) into[to++] = 255 - rgba[at + 3];
  },
};

/**
 * Fits an image to the model's size: scales it with Lanczos to cover width × height, then crops the
 * centre. Transparent parts become white. An image of that size stays as it is.
 *
 * Keeps no more than a few rows of a file and the result, which lies as the file does: of its orientation
 * only the crop takes notice.
 *
 * @param image What to fit.
 * @param width Pixels across of the result.
 * @param height Pixels down of the result.
 * @returns RGB in [-1, 1], float32 [height, width, 3].
 *
 * @example
 * ```ts
 * import { fitImage } from "./resize.ts";
 *
 * const red = { width: 1, height: 1, rgba: new Uint8Array([255, 0, 0, 255]) };
 * await fitImage(red, 2, 1); // 1, -1, -1, 1, -1, -1
 * ```
 *
 * @throws {FileError} The file is corrupt; the same holds below.
 */
export function fitImage(
  image: Pixels,
  width: number,
  height: number,
): Promise<Float32Array<ArrayBuffer>> {
  return fit(image, width, height, ON_WHITE);
}

/**
 * Fits a mask to the model's size, aligned with its image: scales it to cover width × height by area
 * means, and crops it as {@linkcode fitImage} does.
 *
 * @param mask Its luminance (Rec. 601) is used, and transparent parts are black.
 * @param width Pixels across of the result.
 * @param height Pixels down of the result.
 * @returns Coverage in [0, 1], float32 [height, width].
 *
 * @example
 * ```ts
 * import { fitMask } from "./resize.ts";
 *
 * const rgba = new Uint8Array([255, 255, 255, 255, 0, 0, 0, 255]);
 * await fitMask({ width: 2, height: 1, rgba }, 4, 2); // 1, 1, 0, 0, 1, 1, 0, 0
 * ```
 */
export function fitMask(
  mask: Pixels,
  width: number,
  height: number,
): Promise<Float32Array<ArrayBuffer>> {
  return fit(mask, width, height, LUMINANCE);
}

/**
 * Fits the transparency of an image as {@linkcode fitMask} fits a mask.
 *
 * @param image Its colours are ignored.
 * @param width Pixels across of the result.
 * @param height Pixels down of the result.
 * @returns 0 where the image is opaque, 1 where it is clear, float32 [height, width].
 *
 * @example
 * ```ts
 * import { fitAlpha } from "./resize.ts";
 *
 * const rgba = new Uint8Array([9, 9, 9, 255, 9, 9, 9, 0]);
 * await fitAlpha({ width: 2, height: 1, rgba }, 2, 1); // 0, 1
 * ```
 */
export function fitAlpha(
  image: Pixels,
  width: number,
  height: number,
): Promise<Float32Array<ArrayBuffer>> {
  return fit(image, width, height, TRANSPARENCY);
}

/** Scales to cover width × height and crops the centre. Returns [height, width, channels]. */
async function fit(
  pixels: Pixels,
  width: number,
  height: number,
  { channels, filter, table, convert }: Look,
): Promise<Float32Array<ArrayBuffer>> {
  const aspect = pixels.width / pixels.height;
  const narrow = aspect <= width / height;
  // rounding may leave the longer side a pixel short of the crop
  const full = narrow
    ? { width, height: Math.max(height, Math.trunc(width / aspect)) }
    : { width: Math.max(width, Math.trunc(aspect * height)), height };
  const { orientation = 1 } = "orientation" in pixels ? pixels : {};
  const across = centre(full.width, width, fromRight(orientation));
  const down = centre(full.height, height, fromBottom(orientation));
  const size = [pixels.width, pixels.height] as const;
  const resizer = new Resizer(size, across, down, filter, channels, table);

  const [left, right] = resizer.columns;
  const ready = channels === 3 && "opaque" in pixels && pixels.opaque; // to be taken as they are
  const line = new Uint8Array(ready ? 0 : (right - left) * (channels === 3 ? 4 : 1));
  const addRows = (rgba: Uint8Array) => {
    for (let at = 0; at < rgba.length; at += 4 * pixels.width) {
      if (!resizer.needed) resizer.skip();
      else if (ready) resizer.add(rgba, at + 4 * left);
      else {
        convert(rgba, at + 4 * left, at + 4 * right, line);
        resizer.add(line, 0);
      }
    }
  };
  if ("rgba" in pixels) addRows(pixels.rgba);
  else for await (const rows of pixels.rows()) addRows(rows);
  return resizer.result;
}

/** Keeps the middle; an odd pixel goes at the end of the axis, which is its beginning if it is `mirrored`. */
function centre(full: number, size: number, mirrored: boolean): Crop {
  const offset = (full - size) / 2;
  return { full, offset: mirrored ? Math.ceil(offset) : Math.floor(offset), size };
}

/** Divides an integer up to 255² by 255, and rounds, without the costs of either. */
function divide255(value: number): number {
  return value + 128 + (value + 128 >> 8) >> 8;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
