/** What a picture file says of itself: the format, and why it cannot be decoded if it cannot. */

import { FileError, quote } from "../engine/errors.ts";

/** A format that pictures are read from. */
export type PictureFormat = "PNG" | "JPEG" | "WebP";

// A header of a few bytes may claim any size: the largest picture we will make room for.
const MAX_PIXELS = 2 ** 28;
// The JPEG markers used here; SOF0 to SOF2 are baseline, extended and progressive Huffman coding.
const [SOF0, SOF2, SOF15, DHT, JPG, DAC, RST0, SOI, EOI, SOS] = //
  [0xc0, 0xc2, 0xcf, 0xc4, 0xc8, 0xcc, 0xd0, 0xd8, 0xd9, 0xda];

interface NamedBytes {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/**
 * Makes the error for a picture that cannot be read.
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
  options?: ErrorOptions,
): FileError {
  return new FileError(code, `Cannot read ${quote(name)}: ${why}`, options);
}

/**
 * Recognises a picture by its first bytes and refuses, before anything is decoded, what the
 * decoders would read wrongly, partly or not at all.
 *
 * @param bytes A whole file.
 * @param name The file's name, for messages only.
 *
 * @throws {FileError} where the file is no whole 8-bit still picture of at most 2^28 pixels.
 */
export function checkPicture(bytes: Uint8Array, name: string): PictureFormat {
  const file = { bytes, name };
  if (bytes.length === 0) {
    throw unreadable(name, "empty-file", "the file is empty; use a PNG, JPEG or WebP picture");
  }
  if (tag(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") {
    checkPng(file);
    return "PNG";
  }
  if (tag(bytes, 0, 3) === "\xff\xd8\xff") {
    checkJpeg(file);
    return "JPEG";
  }
  if (tag(bytes, 0, 4) === "RIFF" && tag(bytes, 8, 4) === "WEBP") {
    checkWebp(file);
    return "WebP";
  }
  throw unreadable(
    name,
    "not-a-picture",
    "it is not a PNG, JPEG or WebP picture; save it as one of these",
  );
}

function checkPng(file: NamedBytes): void {
  for (let at = 8, type = ""; type !== "IEND";) {
    const length = number(file, at, 4);
    type = tag(file.bytes, at + 4, 4);
    const data = at + 8;
    if (type === "IHDR") {
      checkSize(file, number(file, data, 4), number(file, data + 4, 4));
      const bits = number(file, data + 8, 1);
      if (bits > 8) throw deep(file, bits);
    }
    if (type === "acTL") throw animated(file, "PNG");
    at = data + length + 4;
    if (at > file.bytes.length) throw truncated(file);
  }
}

function checkJpeg(file: NamedBytes): void {
  const { bytes, name } = file;
  let headed = false;
  for (let at = 2;;) {
    at = nextMarker(file, at);
    const marker = bytes[at - 1];
    if (marker === EOI) break;
    if (marker < SOF0 || (marker >= RST0 && marker <= SOI)) continue;
    const length = number(file, at, 2);
    if (marker >= SOF0 && marker <= SOF15 && ![DHT, JPG, DAC].includes(marker)) {
      if (marker > SOF2) {
        throw unreadable(
          name,
          "unsupported-picture",
          "it is a lossless, hierarchical or arithmetic-coded JPEG; save it as an ordinary one",
        );
      }
      const bits = number(file, at + 2, 1);
      if (bits !== 8) throw deep(file, bits);
      checkSize(file, number(file, at + 5, 2), number(file, at + 3, 2));
      if (number(file, at + 7, 1) === 4) {
        throw unreadable(name, "cmyk-picture", "it is in CMYK, for print; convert it to RGB");
      }
      headed = true;
    }
    if (marker === SOS && !headed) throw corrupt(file, "JPEG");
    at += length; // the coded bytes behind an SOS hold no marker but RSTn
  }
  if (!headed) throw corrupt(file, "JPEG");
}

/** The place behind the next marker's two bytes: 0xff, perhaps repeated, and neither 0 nor 0xff. */
function nextMarker(file: NamedBytes, from: number): number {
  for (let at = from;;) {
    at = file.bytes.indexOf(0xff, at) + 1;
    if (at === 0) throw truncated(file);
    const marker = number(file, at, 1);
    if (marker !== 0 && marker !== 0xff) return at + 1;
  }
}

function checkWebp(file: NamedBytes): void {
  const { bytes } = file;
  const end = 8 + number(file, 4, 4, "little");
  if (end > bytes.length) throw truncated(file);
  let headed = false;
  for (let at = 12; at + 8 <= end;) {
    const type = tag(bytes, at, 4);
    const length = number(file, at + 4, 4, "little");
    const data = at + 8;
    if (type === "ANIM" || type === "ANMF") throw animated(file, "WebP");
    if (type === "VP8X") {
      if (number(file, data, 1) & 2) throw animated(file, "WebP");
      checkSize(
        file,
        number(file, data + 4, 3, "little") + 1,
        number(file, data + 7, 3, "little") + 1,
      );
    }
    if (type === "VP8 ") {
      checkSize(
        file,
        number(file, data + 6, 2, "little") & 0x3fff,
        number(file, data + 8, 2, "little") & 0x3fff,
      );
      headed = true;
    }
    if (type === "VP8L") {
      const sizes = number(file, data + 1, 4, "little");
      checkSize(file, (sizes & 0x3fff) + 1, (sizes >>> 14 & 0x3fff) + 1);
      headed = true;
    }
    at = data + length + length % 2;
    if (data + length > end) throw truncated(file);
  }
  if (!headed) throw corrupt(file, "WebP");
}

function checkSize({ name }: NamedBytes, width: number, height: number): void {
  const size = `${width}x${height}`;
  if (width * height === 0) {
    throw unreadable(name, "empty-picture", `it has no pixels (${size}); use another picture`);
  }
  if (width * height > MAX_PIXELS) {
    const why = `${size} is more than the ${MAX_PIXELS} pixels allowed; make it smaller`;
    throw unreadable(name, "picture-too-large", why);
  }
}

function deep({ name }: NamedBytes, bits: number): FileError {
  const why = `it has ${bits} bits per channel; convert it to 8 bits per channel`;
  return unreadable(name, "deep-picture", why);
}

function animated({ name }: NamedBytes, format: PictureFormat): FileError {
  const why = `it is an animated ${format}; save one frame of it as a picture`;
  return unreadable(name, "animated-picture", why);
}

function truncated({ name }: NamedBytes): FileError {
  const why = "the file ends before the picture does; copy or download it again";
  return unreadable(name, "truncated-picture", why);
}

function corrupt({ name }: NamedBytes, format: PictureFormat): FileError {
  return unreadable(name, "bad-picture", `the ${format} has no picture in it; use another file`);
}

/** A whole number of `count` bytes, at most 6. */
function number(
  file: NamedBytes,
  at: number,
  count: number,
  order: "big" | "little" = "big",
): number {
  if (at + count > file.bytes.length) throw truncated(file);
  let value = 0;
  for (let i = 0; i < count; i++) {
    value = value * 256 + file.bytes[order === "big" ? at + i : at + count - 1 - i];
  }
  return value;
}

function tag(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
