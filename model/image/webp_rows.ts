/** Reads WebP files: a package decodes the pixels, this file reads what is around them. */

import { orientationOf } from "./base/exif.ts";
import { checkSize, corrupt, headless, truncated, unreadable } from "./base/errors.ts";
import type { ImageLimits, RowSource } from "./base/rows.ts";

// A macroblock of 256 pixels takes 3.4 bits at least: its modes, at the fixed odds of key frames.
const MOST_LOSSY = 640;
// Lossless files of one colour have no such bound, and the decoder needs 8 bytes for each pixel.
const [MOST_LOSSLESS, ALWAYS_ALLOWED] = [2 ** 14, 2 ** 24];
const HAS_ALPHA = 0x10;
const RIFF_HEADER = 12;
const FRAME_HEADER = 16;
/** Rows that are handed on at once. */
const ROWS = 64;

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** The size of an image, and whether it has alpha. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly alpha: boolean;
}

/** The still image to decode, and its place on the canvas. */
interface Still extends Pixels {
  readonly file: Uint8Array;
  readonly left: number;
  readonly top: number;
}

/**
 * Opens a WebP file, of an animation its first frame.
 *
 * Its decoder keeps all pixels at once: `rows()` takes 8 bytes for each.
 *
 * @param bytes A file that begins as a WebP does.
 * @param name The file's name, for messages only.
 * @throws {FileError} It is incomplete, too large or corrupt; also from `rows()`.
 */
export function openWebp(bytes: Uint8Array, name: string, limits: ImageLimits = {}): RowSource {
  const end = 8 + view(bytes).getUint32(4, true);
  if (end > bytes.length) throw truncated(name);
  const file = bytes.subarray(0, end);
  const chunks = [...readChunks(file.subarray(RIFF_HEADER), name)];
  const chunkOf = (wanted: string) => chunks.find(({ type }) => type === wanted)?.data;
  const extended = chunkOf("VP8X");
  const frame = chunkOf("ANMF");
  const still = frame
    ? firstFrame(frame, name, limits)
    : { ...imageOf(chunks, name, limits), file, left: 0, top: 0 };
  const canvas = extended ? canvasOf(extended, name) : still;
  checkSize(name, canvas.width, canvas.height, limits);
  checkClaim(name, canvas, file.length);
  const whole = still.width === canvas.width && still.height === canvas.height;
  if (!frame && !whole) throw corrupt(name, "WebP", "it has two sizes");
  if (still.left + still.width > canvas.width || still.top + still.height > canvas.height) {
    throw corrupt(name, "WebP", "its first frame lies outside of it");
  }
  const exif = chunkOf("EXIF");
  const icc = chunkOf("ICCP");
  return {
    width: canvas.width,
    height: canvas.height,
    orientation: exif ? orientationOf(exif) : 1,
    opaque: !still.alpha && whole,
    ...icc && { icc },
    warnings: frame ? ["it is animated; its first frame is used"] : [],
    async *rows() {
      const rgba = await decodeWebp(still.file, name);
      if (rgba.length !== still.width * still.height * 4) throw corrupt(name, "WebP");
      const line = canvas.width * 4;
      for (let top = 0; top < canvas.height; top += ROWS) {
        const count = Math.min(ROWS, canvas.height - top);
        if (whole) yield rgba.subarray(top * line, (top + count) * line);
        else yield placed(rgba, still, canvas.width, top, count);
      }
    },
  };
}

/** Returns rows of the canvas, which is transparent around the frame. */
function placed(
  rgba: Uint8Array,
  { width, height, left, top }: Still,
  across: number,
  first: number,
  count: number,
): Uint8Array {
  const rows = new Uint8Array(count * across * 4);
  for (let y = 0; y < count; y++) {
    const from = (first + y - top) * width * 4;
    if (from < 0 || from >= width * height * 4) continue;
    rows.set(rgba.subarray(from, from + width * 4), (y * across + left) * 4);
  }
  return rows;
}

function* readChunks(bytes: Uint8Array, name: string): Generator<Chunk> {
  for (let at = 0; at + 8 <= bytes.length;) {
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const end = at + 8 + view(bytes).getUint32(at + 4, true);
    if (end > bytes.length) throw truncated(name);
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + end % 2;
  }
}

/** Reads the size of the chunk that holds the pixels, lossy or lossless. */
function imageOf(chunks: readonly Chunk[], name: string, limits: ImageLimits): Pixels {
  const chunk = chunks.find(({ type }) => type === "VP8 " || type === "VP8L");
  if (!chunk) throw headless(name, "WebP");
  const { type, data } = chunk;
  if (data.length < 10) throw truncated(name);
  const lossy = type === "VP8 ";
  const sizes = view(data).getUint32(lossy ? 6 : 1, true);
  const [width, height] = lossy
    ? [sizes & 0x3fff, sizes >>> 16 & 0x3fff]
    : [(sizes & 0x3fff) + 1, (sizes >>> 14 & 0x3fff) + 1];
  checkSize(name, width, height, limits);
  if (lossy && width * height > data.length * MOST_LOSSY) throw truncated(name);
  if (!lossy) checkClaim(name, { width, height }, data.length);
  const alpha = lossy ? chunks.some(({ type }) => type === "ALPH") : (sizes >>> 28 & 1) === 1;
  return { width, height, alpha };
}

/** Refuses many pixels in few bytes. */
function checkClaim(
  name: string,
  { width, height }: { readonly width: number; readonly height: number },
  bytes: number,
): void {
  if (width * height <= Math.max(ALWAYS_ALLOWED, bytes * MOST_LOSSLESS)) return;
  const why = `it claims ${width}x${height} pixels in ${bytes} bytes; make it smaller`;
  throw unreadable(name, "image-too-large", why);
}

function canvasOf(data: Uint8Array, name: string): { width: number; height: number } {
  if (data.length < 10) throw truncated(name);
  return { width: uint24(data, 4) + 1, height: uint24(data, 7) + 1 };
}

/** Makes a file of its own of an animation's first frame. */
function firstFrame(frame: Uint8Array, name: string, limits: ImageLimits): Still {
  if (frame.length < FRAME_HEADER) throw truncated(name);
  const chunks = [...readChunks(frame.subarray(FRAME_HEADER), name)]
    .filter(({ type }) => ["ALPH", "VP8 ", "VP8L"].includes(type));
  const pixels = imageOf(chunks, name, limits);
  const extended = new Uint8Array(10);
  extended[0] = HAS_ALPHA;
  setUint24(extended, 4, pixels.width - 1);
  setUint24(extended, 7, pixels.height - 1);
  const needed = chunks.length > 1 ? [{ type: "VP8X", data: extended }, ...chunks] : chunks;
  const [left, top] = [2 * uint24(frame, 0), 2 * uint24(frame, 3)];
  return { ...pixels, file: riff(needed), left, top };
}

/** Puts chunks into a WebP file. */
function riff(chunks: readonly Chunk[]): Uint8Array {
  const size = chunks.reduce((sum, { data }) => sum + 8 + data.length + data.length % 2, 4);
  const file = new Uint8Array(8 + size);
  const writeTag = (tag: string, at: number) => {
    for (let i = 0; i < 4; i++) file[at + i] = tag.charCodeAt(i);
  };
  writeTag("RIFF", 0);
  view(file).setUint32(4, size, true);
  writeTag("WEBP", 8);
  let at = RIFF_HEADER;
  for (const { type, data } of chunks) {
    writeTag(type, at);
    view(file).setUint32(at + 4, data.length, true);
    file.set(data, at + 8);
    at += 8 + data.length + data.length % 2;
  }
  return file;
}

async function decodeWebp(file: Uint8Array, name: string): Promise<Uint8Array> {
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  let loaded = false;
  const onRuntimeInitialized = () => loaded = true;
  try {
    const { default: decode, init } = await import("../../deps/@jsquash/webp.ts");
    // a fresh instance: the last one may hold gigabytes, or have stopped inside a bad file
    keepingLocation(() => init({ print: say, printErr: say, onRuntimeInitialized }));
    const { data } = await decode(file);
    return new Uint8Array(data.buffer, data.byteOffset, data.length);
  } catch (cause) {
    if (!loaded) {
      const why = "the WebP decoder did not load; save the image as a PNG";
      throw unreadable(name, "no-decoder", why, { cause, hint: "allow-read" });
    }
    if (said.some((line) => line.startsWith("Aborted("))) {
      const why = "the WebP decoder runs out of memory; make the image smaller";
      throw unreadable(name, "image-too-large", why, { cause });
    }
    throw corrupt(name, "WebP", undefined, cause);
  }
}

/** Runs a decoder's set-up and undoes its change to `location`, which it may define if absent. */
function keepingLocation(init: () => void): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, "location");
  init();
  if (before) Object.defineProperty(globalThis, "location", before);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16;
}

function setUint24(bytes: Uint8Array, at: number, value: number): void {
  bytes.set([value & 255, value >> 8 & 255, value >> 16], at);
}
