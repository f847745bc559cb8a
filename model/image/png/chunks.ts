/** The chunks of a PNG file, and what its header says. */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { type FileError, recognise } from "../../../engine/mod.ts";
import { corrupt, truncated, unreadable } from "../base/errors.ts";

/** A part of a PNG file. */
export interface Chunk {
  /** Four letters. */
  readonly type: string;
  readonly data: Buffer;
  /** Whether its checksum holds; if not, it is one that images do not need. */
  readonly intact: boolean;
}

/** How a pixel is stored. */
export type PngColour = "grey" | "RGB" | "palette" | "grey with alpha" | "RGBA";

/** What IHDR says. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly colour: PngColour;
  /** Values of a pixel. */
  readonly channels: number;
  /** Bits of each value: 1, 2, 4, 8 or 16. */
  readonly depth: number;
  readonly interlaced: boolean;
}

/** By the number that IHDR has for it. */
const COLOURS: Readonly<Record<number, [colour: PngColour, channels: number, depths: number[]]>> = {
  0: ["grey", 1, [1, 2, 4, 8, 16]],
  2: ["RGB", 3, [8, 16]],
  3: ["palette", 1, [1, 2, 4, 8]],
  4: ["grey with alpha", 2, [8, 16]],
  6: ["RGBA", 4, [8, 16]],
};

// Of 1 GB in pieces of 8 kB, as libpng writes them, there are half as many.
const MAX_CHUNKS = 2 ** 18;
const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

/** Whether a file begins as a PNG does. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length));
}

/**
 * Walks the chunks of a file, from IHDR to IEND.
 *
 * @param name The file's name, for messages only.
 * @throws {FileError} It is not a PNG, ends early, or a chunk that the image needs fails its checksum.
 */
export function* chunks(bytes: Uint8Array, name: string): Generator<Chunk, void> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isPng(bytes)) {
    const kind = recognise(bytes);
    const why = kind === null ? "it does not begin as a PNG does" : `it is not a PNG, but ${kind}`;
    throw unreadable(name, "not-a-png", why);
  }
  for (let at = SIGNATURE.length, type = "", count = 1; type !== "IEND"; count++) {
    if (count > MAX_CHUNKS) throw corruptPng(name, `it has more than ${MAX_CHUNKS} chunks`);
    const end = at + 12 <= file.length ? at + 12 + file.readUInt32BE(at) : Infinity;
    if (end > file.length) throw truncated(name);
    // toString() itself takes no offset beyond 2 GiB
    type = file.subarray(at + 4, at + 8).toString("latin1");
    // a name of other bytes is not one, and must not reach a message
    if (!/^[A-Za-z]{4}$/.test(type)) throw corruptPng(name, `the chunk at byte ${at} has no name`);
    const intact = crc32(file.subarray(at + 4, end - 4)) === file.readUInt32BE(end - 4);
    if (!intact && isCritical(type)) {
      throw corruptPng(name, `its ${type} chunk at byte ${at} fails its checksum`);
    }
    yield { type, data: file.subarray(at + 8, end - 4), intact };
    at = end;
  }
}

/** Whether an image cannot be shown without chunks of this type. */
export function isCritical(type: string): boolean {
  return type < "a";
}

/** Reads IHDR, the first chunk of a file. @throws {FileError} It is none, or allows no image. */
export function readHeader(first: Chunk, name: string): PngHeader {
  const { data } = first;
  if (first.type !== "IHDR" || data.length !== 13) {
    throw corruptPng(name, "it does not begin with IHDR");
  }
  const [depth, type, compression, filter, interlace] = data.subarray(8);
  const [colour, channels, depths] = COLOURS[type!] ?? [];
  if (!colour || !depths!.includes(depth!)) {
    throw corruptPng(name, `there is no colour type ${type} with ${depth} bits`);
  }
  if (compression !== 0 || filter !== 0 || interlace! > 1) {
    throw corruptPng(name, "its header asks for what no PNG has");
  }
  const [width, height] = [data.readUInt32BE(0), data.readUInt32BE(4)];
  return { width, height, colour, channels: channels!, depth: depth!, interlaced: interlace === 1 };
}

/** Returns the error for a PNG that breaks the format; `detail` says how, and holds none of its bytes. */
export function corruptPng(name: string, detail: string, cause?: unknown): FileError {
  return corrupt(name, "PNG", detail, cause);
}

/**
 * Encodes a chunk: length, type, data and CRC-32.
 *
 * @param type Four letters.
 * @param data The chunk's content.
 */
export function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, -4)), out.length - 4);
  return out;
}
