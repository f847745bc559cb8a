/** PNG files with text chunks: pngjs codes the pixels, this file the chunks that it drops. */

import { Buffer } from "node:buffer";
import { crc32, inflateSync } from "node:zlib";
import { PNG } from "../../deps/pngjs.ts";
import { BitwiseError, InputError } from "../../engine/mod.ts";

/** A PNG cannot be read. */
export class PngError extends BitwiseError {
  /** Always `"PngError"`. */
  override readonly name: string = "PngError";

  /**
   * Makes an error.
   *
   * @param code A stable word in kebab-case.
   * @param reason What is wrong with the file.
   * @param options The `cause`, if another error led to this one.
   */
  constructor(code: string, reason: string, options?: ErrorOptions) {
    super(code, `Cannot read the PNG: ${reason}`, options);
  }
}

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

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
// Offset of the text chunks: after the signature and IHDR (length, type, 13 bytes, CRC), before the pixels.
const AFTER_HEADER = SIGNATURE.length + 25;
// The largest image and text that memory is allocated for: a header of a few bytes may claim any size.
const MAX_PIXELS = 2 ** 28;
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
 * @throws {InputError} The length of `rgba` does not match the size, or a keyword is not allowed in a PNG.
 */
export function encodePng(
  rgba: Uint8Array,
  width: number,
  height: number,
  text: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const { header, pixels } = pack({ width, height, rgba }, isOpaque(rgba) ? RGB : RGBA);
  return assemble(header, [chunk("IDAT", pixels)], text);
}

/**
 * Decodes any PNG to 8-bit RGBA.
 *
 * @example
 * ```ts
 * import { decodePng, encodePng } from "./png.ts";
 *
 * const { width, rgba } = decodePng(encodePng(new Uint8Array(16), 2, 2));
 * ```
 *
 * @throws {PngError} The bytes are not a complete PNG.
 */
export function decodePng(bytes: Uint8Array): Image {
  const header = chunks(bytes).next().value;
  if (header?.type !== "IHDR" || header.data.length !== 13) {
    throw new PngError("no-header", "it does not begin with an IHDR chunk");
  }
  const [width, height] = [header.data.readUInt32BE(0), header.data.readUInt32BE(4)];
  if (width * height > MAX_PIXELS) {
    throw new PngError(
      "too-large",
      `${width}x${height} is more than the ${MAX_PIXELS} pixels allowed`,
    );
  }
  try {
    const { data } = PNG.sync.read(buffer(bytes));
    return { width, height, rgba: Uint8Array.from(data) };
  } catch (cause) {
    throw new PngError("undecodable", `${(cause as Error).message}`, { cause });
  }
}

/**
 * Reads a PNG's text chunks (tEXt, zTXt, iTXt) by keyword.
 *
 * @example
 * ```ts
 * import { encodePng, readPngText } from "./png.ts";
 *
 * const file = encodePng(new Uint8Array(4), 1, 1, { parameters: "猫 🐱" });
 * readPngText(file).parameters; // "猫 🐱"
 * ```
 *
 * @throws {PngError} The bytes are not a complete PNG.
 */
export function readPngText(bytes: Uint8Array): Record<string, string> {
  // no prototype: a keyword may be any word, even "__proto__"
  const text: Record<string, string> = Object.create(null);
  for (const { type, data } of chunks(bytes)) {
    if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt") continue;
    const [keyword, rest] = cut(data);
    if (type === "tEXt") text[keyword] = rest.toString("latin1");
    else if (type === "zTXt") text[keyword] = inflate(rest.subarray(1)).toString("latin1");
    else {
      const [, tagged] = cut(rest.subarray(2)); // after the compression flag and method
      const [, value] = cut(tagged);
      text[keyword] = (rest[0] === 1 ? inflate(value) : value).toString("utf8");
    }
  }
  return text;
}

/**
 * Compresses one image with pngjs.
 *
 * @param image Any image; {@linkcode RGB} drops its alpha.
 * @param colorType The colour type to store.
 * @returns The signature with the IHDR chunk, and the content of the IDAT chunk.
 * @throws {InputError} The length of `rgba` does not match the size.
 */
export function pack(
  { width, height, rgba }: Image,
  colorType: typeof RGB | typeof RGBA,
): { header: Buffer; pixels: Buffer } {
  if (rgba.length !== width * height * 4) {
    throw new InputError(
      "rgba-length",
      `Cannot encode a ${width}x${height} PNG: it takes ${width * height * 4} bytes of RGBA, ` +
        `got ${rgba.length}`,
    );
  }
  // not a `new PNG()`: each holds a deflate stream of 260 kB that is never freed
  const file = PNG.sync.write({ width, height, data: rgba }, { colorType });
  const pixels = [...chunks(file)].filter(({ type }) => type === "IDAT").map(({ data }) => data);
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
  const texts = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  return Uint8Array.from(
    Buffer.concat([header, ...texts, ...body, chunk("IEND", Buffer.alloc(0))]),
  );
}

/** Whether every pixel of 8-bit RGBA has alpha 255. */
export function isOpaque(rgba: Uint8Array): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

function textChunk(keyword: string, value: string): Buffer {
  if (!/^[!-~](?:[ -~]{0,77}[!-~])?$/.test(keyword)) {
    throw new InputError(
      "png-keyword",
      `Cannot write the PNG: "${keyword}" is not a keyword of 1 to 79 letters`,
    );
  }
  const body = value.replaceAll("\0", ""); // the format does not allow NUL in text
  const latin1 = Buffer.from(body, "latin1");
  return latin1.toString("latin1") === body
    ? chunk("tEXt", Buffer.concat([Buffer.from(`${keyword}\0`, "latin1"), latin1]))
    // uncompressed, without language tag or translated keyword
    : chunk("iTXt", Buffer.from(`${keyword}\0\0\0\0\0${body}`, "utf8"));
}

/**
 * Encodes a chunk: length, type, data and CRC-32.
 *
 * @param type Four letters.
 * @param data The chunk's content.
 */
export function chunk(type: string, data: Buffer): Buffer {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, -4)), out.length - 4);
  return out;
}

function* chunks(bytes: Uint8Array): Generator<{ type: string; data: Buffer }> {
  const file = buffer(bytes);
  if (!file.subarray(0, SIGNATURE.length).equals(SIGNATURE)) {
    throw new PngError("not-a-png", "its first 8 bytes are not a PNG's");
  }
  for (let at = SIGNATURE.length, type = ""; type !== "IEND";) {
    const end = at + 12 <= file.length ? at + 12 + file.readUInt32BE(at) : Infinity;
    if (end > file.length) {
      throw new PngError("truncated", `it ends within a chunk (at byte ${file.length})`);
    }
    type = file.toString("latin1", at + 4, at + 8);
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4)) {
      throw new PngError("corrupt", `the ${type} chunk at byte ${at} is corrupt (CRC)`);
    }
    yield { type, data: file.subarray(at + 8, end - 4) };
    at = end;
  }
}

/** Splits at the first NUL, which ends each of a text chunk's leading strings. */
function cut(data: Buffer): [before: string, after: Buffer] {
  const nul = data.indexOf(0);
  if (nul < 0) throw new PngError("bad-text", "a text chunk lacks its separator");
  return [data.toString("latin1", 0, nul), data.subarray(nul + 1)];
}

function inflate(data: Buffer): Buffer {
  try {
    return inflateSync(data, { maxOutputLength: MAX_TEXT });
  } catch (cause) {
    throw new PngError("bad-text", `a text chunk: ${(cause as Error).message}`, { cause });
  }
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
