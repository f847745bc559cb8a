/** Decodes image files of common formats to 8-bit RGBA; the JPEG and WebP decoders load when needed. */

import type { FileError } from "../../engine/mod.ts";
import { checkImage, type ImageFormat, unreadable } from "./image_header.ts";
import { decodePng, type Image, PngError } from "./png.ts";

// Warnings of the JPEG decoder that mean lost pixels; it continues in grey after each of them.
const LOST = /^(Corrupt JPEG data(?!.* extraneous bytes)|Premature end|Inconsistent progression)/;
// The decoders have at most 2 GB: less than a large JPEG takes if it is progressive or rotated.
const OUT_OF_MEMORY = /^(Aborted\(|Insufficient memory)/;

/**
 * Decodes a PNG, JPEG or WebP file, recognised by its first bytes, to 8-bit RGBA.
 *
 * Rotates a JPEG upright by its EXIF orientation. Colour profiles are not applied.
 *
 * @param file The file's bytes.
 * @param name The file's name, for messages only.
 *
 * @example
 * ```ts
 * import { readImage } from "./read_image.ts";
 * import { encodePng } from "./png.ts";
 *
 * const file = encodePng(new Uint8Array(16), 2, 2);
 * const { width, height, rgba } = await readImage(file, "cat.png");
 * ```
 *
 * @throws {FileError} The file is not a complete still image, in grey or RGB, of 8 bits per channel and
 * at most 2^27 pixels.
 */
export async function readImage(file: Uint8Array, name: string): Promise<Image> {
  const { format, bytes } = checkImage(file, name);
  return format === "PNG" ? readPng(bytes, name) : await readCoded(format, bytes, name);
}

function readPng(bytes: Uint8Array, name: string): Image {
  try {
    return decodePng(bytes);
  } catch (cause) {
    if (!(cause instanceof PngError)) throw cause;
    throw bad(name, "PNG", cause.message.replace("Cannot read the PNG: ", ""), cause);
  }
}

async function readCoded(
  format: Exclude<ImageFormat, "PNG">,
  bytes: Uint8Array,
  name: string,
): Promise<Image> {
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  let loaded = false;
  const onRuntimeInitialized = () => loaded = true;
  try {
    const { default: decode, init } = format === "JPEG"
      ? await import("../../deps/@jsquash/jpeg.ts")
      : await import("../../deps/@jsquash/webp.ts");
    // a fresh instance: the last one may hold gigabytes, or have stopped inside a bad file
    keepingLocation(() => init({ print: say, printErr: say, onRuntimeInitialized }));
    const { width, height, data } = await decode(bytes, { preserveOrientation: true });
    const lost = said.find((line) => LOST.test(line));
    if (lost === undefined) {
      return { width, height, rgba: new Uint8Array(data.buffer, data.byteOffset, data.length) };
    }
  } catch (cause) {
    if (!loaded) {
      const why = `the ${format} decoder did not load; save the image as a PNG`;
      throw unreadable(name, "no-decoder", why, { cause, hint: "allow-read" });
    }
    if (said.some((line) => OUT_OF_MEMORY.test(line))) {
      const why = `the ${format} decoder runs out of memory; make the image smaller`;
      throw unreadable(name, "image-too-large", why, { cause });
    }
    throw bad(name, format, said.at(-1), cause);
  }
  throw bad(name, format, said.find((line) => LOST.test(line)));
}

function bad(
  name: string,
  format: ImageFormat,
  detail?: string,
  cause?: unknown,
): FileError {
  const said = detail === undefined ? "" : ` (${detail})`;
  const why = `the ${format} is corrupt${said}; use another file`;
  return unreadable(name, "bad-image", why, { cause });
}

/** Runs a decoder's set-up and undoes its change to `location`, which it may define if absent. */
function keepingLocation(init: () => void): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, "location");
  init();
  if (before) Object.defineProperty(globalThis, "location", before);
}
