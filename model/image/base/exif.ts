/** Orientation: the one field of EXIF metadata that changes an image, and how. */

import type { Orientation } from "./rows.ts";

const ORIENTATION = 0x112;
const SHORT = 3;

/**
 * Returns the orientation that EXIF metadata give, or 1 if they give none or are damaged.
 *
 * @param exif A TIFF header and its first directory, as in a PNG's eXIf or a WebP's EXIF chunk; the
 * `Exif\0\0` before it in a JPEG may be there.
 *
 * @example
 * ```ts
 * import { orientationOf } from "./exif.ts";
 *
 * orientationOf(new Uint8Array()); // 1
 * ```
 */
export function orientationOf(exif: Uint8Array): Orientation {
  const start = String.fromCharCode(...exif.subarray(0, 6)) === "Exif\0\0" ? 6 : 0;
  const view = new DataView(exif.buffer, exif.byteOffset + start, exif.length - start);
  try {
    const little = view.getUint16(0) === 0x4949; // "II"
    if (view.getUint16(2, little) !== 42) return 1;
    const directory = view.getUint32(4, little);
    const entries = view.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const entry = directory + 2 + 12 * i;
      if (view.getUint16(entry, little) !== ORIENTATION) continue;
      const value = view.getUint16(entry + 8, little);
      const valid = view.getUint16(entry + 2, little) === SHORT && value >= 1 && value <= 8;
      return valid ? value as Orientation : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // an offset beyond the end
  }
  return 1;
}

/** Whether an orientation exchanges rows and columns. */
export function exchangesSides(orientation: Orientation): boolean {
  return orientation > 4;
}

/**
 * Turns what lies as an orientation says upright.
 *
 * @param data `channels` values for each pixel, row by row, as stored.
 * @param width Pixels across, as stored.
 * @param height Pixels down, as stored.
 * @returns A new array, or `data` if it is upright.
 */
export function upright<T extends Float32Array | Uint32Array>(
  data: T,
  width: number,
  height: number,
  orientation: Orientation,
  channels = 1,
): T {
  if (orientation === 1) return data;
  const turned = data.slice() as T;
  const swap = exchangesSides(orientation);
  // the place of the upper left pixel, and steps from there to the right and down
  const start = (fromRight(orientation) ? width - 1 : 0) +
    (fromBottom(orientation) ? (height - 1) * width : 0);
  const [column, row] = [
    fromRight(orientation) ? -1 : 1,
    fromBottom(orientation) ? -width : width,
  ];
  const [right, down] = swap ? [row, column] : [column, row];
  const [across, lines] = swap ? [height, width] : [width, height];
  for (let y = 0, to = 0; y < lines; y++) {
    for (let x = 0; x < across; x++) {
      const from = (start + y * down + x * right) * channels;
      for (let c = 0; c < channels; c++) turned[to++] = data[from + c]!;
    }
  }
  return turned;
}

/** Whether the first column that is seen or the first row that is seen was stored at the right. */
export function fromRight(orientation: Orientation): boolean {
  return [2, 3, 7, 8].includes(orientation);
}

/** The same for the bottom. */
export function fromBottom(orientation: Orientation): boolean {
  return [3, 4, 6, 7].includes(orientation);
}
