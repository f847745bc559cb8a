/**
 * Which positions and tokens of an image a mask sets free.
 *
 * @module
 */

import { InputError } from "../../../engine/mod.ts";
import type { Grid } from "../../config/grid.ts";
import { type FloatImage, isFloatImage } from "./image_input.ts";
import { isOpaque } from "../../image/base/shape.ts";
import type { Image } from "../../image/png.ts";
import { isOpenImage, type OpenImage } from "../../image/read_image.ts";
import { fitAlpha, fitMask } from "../../image/resize.ts";

/**
 * For each position of the VAE [H, W], whether at least half of it lies in the white part of a mask.
 *
 * @throws {InputError} `other-size`: the mask has another size than the image.
 */
export async function maskedPositions(
  mask: OpenImage | Image,
  image: { readonly width: number; readonly height: number },
  grid: Grid,
  patch: number,
): Promise<boolean[]> {
  if (mask.width !== image.width || mask.height !== image.height) {
    throw new InputError(
      "other-size",
      `Cannot use a mask of ${mask.width}x${mask.height} pixels: the image has ` +
        `${image.width}x${image.height}, make them the same`,
    );
  }
  const [height, width] = [grid[0] * patch, grid[1] * patch];
  const covered = isOpenImage(mask)
    ? await mask.fitMask(width, height)
    : await fitMask(mask, width, height);
  return halfCovered(covered, grid, patch);
}

/**
 * For each position of the VAE [H, W], whether at least half of an image is transparent there; null if that holds for
 * all or none.
 */
export async function clearPositions(
  image: OpenImage | Image | FloatImage,
  grid: Grid,
  patch: number,
): Promise<boolean[] | null> {
  if (isFloatImage(image)) return null;
  if (isOpenImage(image) ? image.opaque : isOpaque(image.rgba)) return null;
  const [height, width] = [grid[0] * patch, grid[1] * patch];
  const clear = isOpenImage(image)
    ? await image.fitAlpha(width, height)
    : await fitAlpha(image, width, height);
  const positions = halfCovered(clear, grid, patch);
  return positions.includes(true) && positions.includes(false) ? positions : null;
}

/** For each position, whether the mean of its pixels is a half or more. */
function halfCovered(covered: Float32Array, [H, W]: Grid, patch: number): boolean[] {
  return Array.from({ length: H * W }, (_, position) => {
    const [top, left] = [Math.floor(position / W) * patch, position % W * patch];
    let sum = 0;
    for (let y = top; y < top + patch; y++) {
      for (let x = left; x < left + patch; x++) sum += covered[y * W * patch + x]!;
    }
    return sum >= patch ** 2 / 2;
  });
}

/**
 * For each token of a scale, whether its codes, resized linearly, affect no position outside the mask.
 *
 * @param free Positions [H, W] of the VAE that may change.
 */
export function freeTokens(
  free: readonly boolean[],
  [H, W]: Grid,
  [rows, columns]: Grid,
  patchify: boolean,
): boolean[] {
  const p = patchify ? 2 : 1;
  const down = reaches(rows * p, H), across = reaches(columns * p, W);
  return Array.from({ length: rows * columns }, (_, token) => {
    const y = span(down, Math.floor(token / columns) * p, p);
    const x = span(across, token % columns * p, p);
    for (let row = y[0]; row <= y[1]; row++) {
      for (let col = x[0]; col <= x[1]; col++) if (!free[row * W + col]) return false;
    }
    return true;
  });
}

/** For each of `cells` cells, the first and the last of `size` positions that linear resizing computes from it. */
function reaches(cells: number, size: number): [first: number, last: number][] {
  const reach = Array.from({ length: cells }, (): [number, number] => [size, -1]);
  for (let i = 0; i < size; i++) {
    // as in kernels/bits/resize_linear.wgsl: integers in units of 1 / (2 · size)
    const position = Math.max((2 * i + 1) * cells, size) - size;
    const low = Math.min(Math.floor(position / (2 * size)), cells - 1);
    const high = position % (2 * size) ? Math.min(low + 1, cells - 1) : low;
    for (const cell of [low, high]) {
      reach[cell] = [Math.min(reach[cell]![0], i), Math.max(reach[cell]![1], i)];
    }
  }
  return reach;
}

/** The first and the last position that `count` cells from `first` affect. */
function span(reach: readonly [number, number][], first: number, count: number): [number, number] {
  const some = reach.slice(first, first + count);
  return [Math.min(...some.map(([low]) => low)), Math.max(...some.map(([, high]) => high))];
}
