/** Writes PNG files with text chunks, and reads the text: pngjs compresses the pixels. */

import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { PNG } from "../../deps/pngjs.ts";
import { type FileError, InputError, quote } from "../../engine/mod.ts";
import { unreadable } from "./base/errors.ts";
import { checkShape, isOpaque } from "./base/shape.ts";
import { describe, isRecord } from "../config/check_value.ts";
import { chunk, chunks, corruptPng } from "./png/chunks.ts";

/** A decoded image: rows from top to bottom, four bytes per pixel. */
export interface Image {
  /** Pixels across. */
  width: number;
  /** Pixels down. */
  height: number;
  /** width × height × 4 bytes: red, green, blue, alpha. */
  rgba: Uint8Array;
}

/** The colour type in IHDR for three bytes per pixel. */
export const RGB = 2;
/** The colour type in IHDR for four bytes per pixel. */
export const RGBA = 6;

// Offset of the text chunks: after the signature and IHDR (length, type, 13 bytes, CRC), before the pixels.
const AFTER_HEADER = 8 + 25;
// Compressed text of a few bytes may claim any size.
const MAX_TEXT = 2 ** 24;

/**
 * Encodes 8-bit RGBA as a PNG, stored as RGB if every pixel is opaque.
 *
 * Writes one text chunk per entry of `text`: tEXt if Latin-1 can hold it, else iTXt in UTF-8. The
 * Stable Diffusion web UI writes and reads its `parameters` in the same way.
 *
 * @example
 * ```ts
 * import { encodePng } from "@bitwise/infinity";
 *
 * const red = new Uint8Array([255, 0, 0, 255]);
 * const file = encodePng(red, 1, 1, { parameters: "a red dot\nSteps: 7, Seed: 1" });
 * ```
 *
 * @param rgba width × height × 4 bytes: red, green, blue, alpha, row by row.
 * @param width Pixels across.
 * @param height Pixels down.
 * @param text Text by keyword.
 * @throws {InputError} `image-shape`: the length of `rgba` does not match the size. `png-text`: a keyword or a
 * text is not allowed in a PNG.
 */
export function encodePng(
  rgba: Uint8Array,
  width: number,
  height: number,
  text: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  checkShape("encode", { width, height, rgba }, "rgba");
  const { header, pixels } = pack({ width, height, rgba }, isOpaque(rgba) ? RGB : RGBA);
  return assemble(header, [chunk("IDAT", pixels)], text);
}

/**
 * Reads a PNG's text chunks (tEXt, zTXt, iTXt) by keyword.
 *
 * @param name The file's name, for messages only.
 *
 * @example
 * ```ts
 * import { encodePng, readPngText } from "./png.ts";
 *
 * const file = encodePng(new Uint8Array(4), 1, 1, { parameters: "猫 🐱" });
 * readPngText(file).parameters; // "猫 🐱"
 * ```
 *
 * @throws {FileError} The bytes are not a complete PNG, any chunk is damaged, or its texts are more than 16 MiB.
 */
export function readPngText(bytes: Uint8Array, name = "image"): Record<string, string> {
  // no prototype: a keyword may be any word, even "__proto__"
  const text: Record<string, string> = Object.create(null);
  let left = MAX_TEXT;
  for (const { type, data, intact } of chunks(bytes, name)) {
    if (!intact) throw corruptPng(name, `a ${type} chunk fails its checksum`);
    if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt") continue;
    const [keyword, rest] = cut(data, name);
    // after the compression flag and method, a language tag and a translated keyword
    const body = type === "iTXt" ? cut(cut(rest.subarray(2), name)[1], name)[1] : rest;
    const value = type === "zTXt"
      ? inflate(body.subarray(1), left, name)
      : type === "iTXt" && rest[0] === 1
      ? inflate(body, left, name)
      : body;
    left -= value.length;
    if (left < 0) throw tooMuchText(name);
    text[keyword] = value.toString(type === "iTXt" ? "utf8" : "latin1");
  }
  return text;
}

/**
 * Compresses one image with pngjs.
 *
 * @param image A valid image; {@linkcode RGB} drops its alpha.
 * @param colorType The colour type to store.
 * @returns The signature with the IHDR chunk, and the content of the IDAT chunk.
 */
export function pack(
  { width, height, rgba }: Image,
  colorType: typeof RGB | typeof RGBA,
): { header: Buffer; pixels: Buffer } {
  // not a `new PNG()`: each holds a deflate stream of 260 kB that is never freed
  const file = PNG.sync.write({ width, height, data: rgba }, { colorType });
  const pixels = [...chunks(file, "image")].filter(({ type }) => type === "IDAT").map(({ data }) =>
    data
  );
  return { header: file.subarray(0, AFTER_HEADER), pixels: Buffer.concat(pixels) };
}

/**
 * Assembles a file, with its text before all pixels.
 *
 * @param header What {@linkcode pack} returned.
 * @param body The chunks after the text, without IEND.
 * @param text One chunk per entry, as {@linkcode encodePng} writes it.
 * @returns The bytes of the file.
 * @throws {InputError} A keyword is not allowed in a PNG.
 */
export function assemble(
  header: Buffer,
  body: readonly Buffer[],
  text: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  if (!isRecord(text)) {
    throw new InputError(
      "png-text",
      `Cannot write the PNG: ${describe(text)} is not text by keyword`,
    );
  }
  const texts = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  return Uint8Array.from(
    Buffer.concat([header, ...texts, ...body, chunk("IEND", Buffer.alloc(0))]),
  );
}

function textChunk(keyword: string, value: string): Buffer {
  if (!/^[!-~](?:[ -~]{0,77}[!-~])?$/.test(keyword)) {
    throw new InputError(
      "png-text",
      `Cannot write the PNG: ${quote(keyword)} is not a keyword of 1 to 79 letters`,
    );
  }
  if (typeof value !== "string") {
    throw new InputError("png-text", `Cannot write the PNG: its ${keyword} is not a string`);
  }
  const body = value.replaceAll("\0", ""); // the format does not allow NUL in text
  const latin1 = Buffer.from(body, "latin1");
  return latin1.toString("latin1") === body
    ? chunk("tEXt", Buffer.concat([Buffer.from(`${keyword}\0`, "latin1"), latin1]))
    // uncompressed, without language tag or translated keyword
    : chunk("iTXt", Buffer.from(`${keyword}\0\0\0\0\0${body}`, "utf8"));
}

/** Splits at the first NUL, which ends each of a text chunk's leading strings. */
function cut(data: Buffer, name: string): [before: string, after: Buffer] {
  const nul = data.indexOf(0);
  if (nul < 0) throw corruptPng(name, "a text chunk lacks its separator");
  return [data.toString("latin1", 0, nul), data.subarray(nul + 1)];
}

function inflate(data: Buffer, most: number, name: string): Buffer {
  try {
    return inflateSync(data, { maxOutputLength: most + 1 });
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooMuchText(name);
    throw corruptPng(name, `a text chunk: ${message}`, cause);
  }
}

function tooMuchText(name: string): FileError {
  const why = `its texts are more than ${MAX_TEXT / 2 ** 20} MiB; save it without them`;
  return unreadable(name, "text-too-large", why);
}
