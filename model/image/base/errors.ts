/** What the readers of all image formats share: their errors and limits. */

import { type BitwiseErrorOptions, FileError, quote } from "../../../engine/mod.ts";
import type { ImageLimits } from "./rows.ts";

/** A format that can be read. */
export type ImageFormat = "PNG" | "JPEG" | "WebP";

/** The default of {@link ImageLimits.maxPixels}. */
export const MAX_PIXELS = 2 ** 27;

/**
 * Returns the error for an image that cannot be read.
 *
 * @param name The file's name.
 * @param code A stable word in kebab-case.
 * @param why What is wrong, and what to do: `"the file is empty; use another"`.
 * @param options The `cause`, if another error led to this one.
 */
export function unreadable(
  name: string,
  code: string,
  why: string,
  options?: BitwiseErrorOptions,
): FileError {
  return new FileError(code, `Cannot read ${quote(name)}: ${why}`, options);
}

/**
 * Refuses a size that a header claims, before memory is allocated for it.
 *
 * @param name The file's name, for messages only.
 * @throws {FileError} `empty-image`, `image-too-large`.
 */
export function checkSize(
  name: string,
  width: number,
  height: number,
  { maxPixels = MAX_PIXELS }: ImageLimits = {},
): void {
  const size = `${width}x${height}`;
  if (width * height === 0) {
    throw unreadable(name, "empty-image", `it has no pixels (${size}); use another image`);
  }
  if (!(width * height <= maxPixels)) {
    const why = `${size} is more than the ${maxPixels} pixels allowed; make it smaller`;
    throw unreadable(name, "image-too-large", why, { hint: "max-pixels" });
  }
}

/** Returns the error for a file of which a part is missing: `why` says which, `cause` is another error. */
export function truncated(
  name: string,
  why = "the file ends before the image does",
  cause?: unknown,
): FileError {
  return unreadable(name, "truncated-image", `${why}; copy or download it again`, { cause });
}

/** Returns the error for a file without any pixels in it. */
export function headless(name: string, format: ImageFormat): FileError {
  return unreadable(name, "bad-image", `the ${format} has no image in it; use another file`);
}

/** Returns the error for a file that contradicts itself, with a detail that is safe to print. */
export function corrupt(
  name: string,
  format: ImageFormat,
  detail?: string,
  cause?: unknown,
): FileError {
  const said = detail === undefined ? "" : ` (${detail})`;
  const why = `the ${format} is corrupt${said}; use another file`;
  return unreadable(name, "bad-image", why, { cause });
}
