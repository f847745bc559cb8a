/** Reads an image file's header: its format, or why it cannot be decoded. */

import { type BitwiseErrorOptions, FileError, quote } from "../../engine/mod.ts";
import type { ImageLimits } from "./rows.ts";

/** A format that can be read. */
export type ImageFormat = "PNG" | "JPEG" | "WebP";

/** The default of {@link ImageLimits.maxPixels}. */
export const MAX_PIXELS = 2 ** 27;
// The JPEG markers used here; SOF0 to SOF2 are baseline, extended and progressive Huffman coding.
const [SOF0, SOF2, DHT, JPG, DAC, SOF15] = [0xc0, 0xc2, 0xc4, 0xc8, 0xcc, 0xcf];
const [RST0, SOI, EOI, SOS] = [0xd0, 0xd8, 0xd9, 0xda];

/** An image that the decoders may try. */
export interface CheckedImage {
  readonly format: ImageFormat;
  /** The file's bytes up to the image's end. */
  readonly bytes: Uint8Array;
}

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

/**
 * Recognises an image by its first bytes. Refuses, before decoding, whatever the decoders would read
 * wrongly, partly or not at all.
 *
 * @param bytes A complete file.
 * @param name The file's name, for messages only.
 *
 * @throws {FileError} The file is not a complete still image of 8 bits per channel and at most 2^27 pixels.
 */
export function checkImage(bytes: Uint8Array, name: string): CheckedImage {
  const file = { bytes, name };
  if (bytes.length === 0) {
    throw unreadable(name, "empty-file", "the file is empty; use a PNG, JPEG or WebP image");
  }
  if (tag(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") {
    return { format: "PNG", bytes: bytes.subarray(0, checkPng(file)) };
  }
  if (tag(bytes, 0, 3) === "\xff\xd8\xff") {
    return { format: "JPEG", bytes: bytes.subarray(0, checkJpeg(file)) };
  }
  if (tag(bytes, 0, 4) === "RIFF" && tag(bytes, 8, 4) === "WEBP") {
    return { format: "WebP", bytes: bytes.subarray(0, checkWebp(file)) };
  }
  throw unreadable(
    name,
    "not-an-image",
    "it is not a PNG, JPEG or WebP image; save it as one of these",
  );
}

/** Returns the offset after the last chunk; the functions for the other formats do the same. */
function checkPng(file: NamedBytes): number {
  for (let at = 8;;) {
    const data = at + 8;
    checkEnd(file, data);
    const length = number(file, at, 4);
    const type = tag(file.bytes, at + 4, 4);
    if (at === 8 && type !== "IHDR") throw headless(file, "PNG");
    if (type === "IHDR") {
      checkSize(file.name, number(file, data, 4), number(file, data + 4, 4));
      const bits = number(file, data + 8, 1);
      if (bits > 8) throw deep(file, bits);
    }
    if (type === "acTL") throw animated(file, "PNG");
    at = data + length + 4;
    checkEnd(file, at);
    if (type === "IEND") return at;
  }
}

function checkJpeg(file: NamedBytes): number {
  const { bytes, name } = file;
  let headed = false;
  for (let at = 2;;) {
    at = nextMarker(file, at);
    const marker = bytes[at - 1];
    if (marker === EOI && headed) return at;
    if (marker < SOF0 || (marker >= RST0 && marker <= SOI)) continue;
    if (!headed && (marker === SOS || marker === EOI)) throw headless(file, "JPEG");
    const length = number(file, at, 2);
    if (marker >= SOF0 && marker <= SOF15 && ![DHT, JPG, DAC].includes(marker)) {
      if (marker > SOF2) {
        throw unreadable(
          name,
          "unsupported-image",
          "it is a lossless, hierarchical or arithmetic-coded JPEG; save it as an ordinary one",
        );
      }
      const bits = number(file, at + 2, 1);
      if (bits !== 8) throw deep(file, bits);
      checkSize(file.name, number(file, at + 5, 2), number(file, at + 3, 2));
      if (number(file, at + 7, 1) === 4) {
        throw unreadable(name, "cmyk-image", "it is in CMYK, for print; convert it to RGB");
      }
      headed = true;
    }
    at += length; // the coded bytes after an SOS contain no marker but RSTn
  }
}

/** Returns the offset after the next marker: 0xff, possibly repeated, then neither 0 nor 0xff. */
function nextMarker(file: NamedBytes, from: number): number {
  for (let at = from;;) {
    at = file.bytes.indexOf(0xff, at) + 1;
    if (at === 0) throw truncated(file);
    const marker = number(file, at, 1);
    if (marker !== 0 && marker !== 0xff) return at + 1;
  }
}

function checkWebp(file: NamedBytes): number {
  const { bytes } = file;
  const end = 8 + number(file, 4, 4, "little");
  checkEnd(file, end);
  let headed = false;
  for (let at = 12; at + 8 <= end;) {
    const type = tag(bytes, at, 4);
    const length = number(file, at + 4, 4, "little");
    const data = at + 8;
    if (type === "ANIM" || type === "ANMF") throw animated(file, "WebP");
    if (type === "VP8X") {
      if (number(file, data, 1) & 2) throw animated(file, "WebP");
      checkSize(
        file.name,
        number(file, data + 4, 3, "little") + 1,
        number(file, data + 7, 3, "little") + 1,
      );
    }
    if (type === "VP8 ") {
      checkSize(
        file.name,
        number(file, data + 6, 2, "little") & 0x3fff,
        number(file, data + 8, 2, "little") & 0x3fff,
      );
      headed = true;
    }
    if (type === "VP8L") {
      const sizes = number(file, data + 1, 4, "little");
      checkSize(file.name, (sizes & 0x3fff) + 1, (sizes >>> 14 & 0x3fff) + 1);
      headed = true;
    }
    at = data + length + length % 2;
    if (data + length > end) throw truncated(file);
  }
  if (!headed) throw headless(file, "WebP");
  return end;
}

function checkEnd(file: NamedBytes, end: number): void {
  if (end > file.bytes.length) throw truncated(file);
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
  if (width * height > maxPixels) {
    const why = `${size} is more than the ${maxPixels} pixels allowed; make it smaller`;
    throw unreadable(name, "image-too-large", why);
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

function truncated({ name }: NamedBytes): FileError {
  const why = "the file ends before the image does; copy or download it again";
  return unreadable(name, "truncated-image", why);
}

function headless({ name }: NamedBytes, format: ImageFormat): FileError {
  return unreadable(name, "bad-image", `the ${format} has no image in it; use another file`);
}

/** Reads an unsigned integer of `count` bytes, at most 6. */
function number(
  file: NamedBytes,
  at: number,
  count: number,
  order: "big" | "little" = "big",
): number {
  checkEnd(file, at + count);
  let value = 0;
  for (let i = 0; i < count; i++) {
    value = value * 256 + file.bytes[order === "big" ? at + i : at + count - 1 - i];
  }
  return value;
}

function tag(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
