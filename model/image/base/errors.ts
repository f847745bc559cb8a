/** What the readers of all image formats share: their errors and limits. */

import { type BitwiseErrorOptions, FileError, quote } from "../../../engine/mod.ts";
import type { ImageLimits } from "./rows.ts";

/** A format that can be read. */
export type ImageFormat = "PNG" | "JPEG" | "WebP";

/** The default of {@link ImageLimits.maxPixels}. */
export const MAX_PIXELS = 2 ** 27;

interface NamedBytes {
  readonly bytes: Uint8Array;
  readonly name: string;
}

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

/** Checks a PNG. Returns the offset after the last chunk. */
export function checkPng(bytes: Uint8Array, name: string, limits: ImageLimits): number {
  const file = { bytes, name };
  for (let at = 8;;) {
    const data = at + 8;
    checkEnd(file, data);
    const length = number(file, at, 4);
    const type = tag(file.bytes, at + 4, 4);
    if (at === 8 && type !== "IHDR") throw headless(file.name, "PNG");
    if (type === "IHDR") {
      checkSize(file.name, number(file, data, 4), number(file, data + 4, 4), limits);
      const bits = number(file, data + 8, 1);
      if (bits > 8) throw deep(file, bits);
    }
    if (type === "acTL") throw animated(file, "PNG");
    at = data + length + 4;
    checkEnd(file, at);
    if (type === "IEND") return at;
  }
}

function checkEnd(file: NamedBytes, end: number): void {
  if (end > file.bytes.length) throw truncated(file.name);
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

function deep({ name }: NamedBytes, bits: number): FileError {
  const why = `it has ${bits} bits per channel; convert it to 8 bits per channel`;
  return unreadable(name, "deep-image", why);
}

function animated({ name }: NamedBytes, format: ImageFormat): FileError {
  const why = `it is an animated ${format}; save one frame of it as an image`;
  return unreadable(name, "animated-image", why);
}

/** Returns the error for a file whose end is missing. */
export function truncated(name: string): FileError {
  const why = "the file ends before the image does; copy or download it again";
  return unreadable(name, "truncated-image", why);
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

/** Reads an unsigned integer of `count` bytes, at most 6. */
function number(file: NamedBytes, at: number, count: number): number {
  checkEnd(file, at + count);
  let value = 0;
  for (let i = 0; i < count; i++) value = value * 256 + file.bytes[at + i];
  return value;
}

function tag(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
