/**
 * Images and bits, as commands take them from files.
 *
 * @module
 */

import { readSource, type Source } from "./input.ts";
import { type Io, orAbort, warn } from "./io.ts";
import { bytesSource, InputError, quote, Safetensors, type TensorFile } from "../../engine/mod.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import { holdsBits, readBits } from "../../model/bits/bits_file.ts";
import type { ImageBits } from "../../model/bits/image_bits.ts";
import type { EncodeOptions, FloatImage } from "../../model/generate/image_input.ts";
import type { ImageLimits } from "../../model/image/base/rows.ts";
import type { OpenImage } from "../../model/image/read_image.ts";

/** An image, as pixels or as bits. */
export type Input = OpenImage | FloatImage | ImageBits;

/**
 * Reads a PNG, JPEG or WebP file, bits that `encode` wrote, or a safetensors file with `image` f32 [3, H, W] from −1 to
 * 1. `-` is stdin. Prints what the file's {@link OpenImage.warnings} say.
 *
 * @throws {FileError} It cannot be read, or is none of them.
 * @throws {InputError} `bad-bits`, `bad-file`: a safetensors file without bits or an image.
 */
export async function readInput(path: string, io: Io, limits?: ImageLimits): Promise<Input> {
  const input = await openInput(path, io, limits);
  if ("warnings" in input) { for (const line of input.warnings) warn(io, line); }
  return input;
}

/** The same without printing, for those who hand on the warnings. */
export async function openInput(path: string, io: Io, limits?: ImageLimits): Promise<Input> {
  // a large file of weights, given by mistake, is not read into memory
  if (/\.safetensors$/i.test(path)) {
    const { openTensorFile } = await import("../../model/checkpoint/files.ts");
    return await readTensors(await openTensorFile(path));
  }
  return await inputOf(await readSource(path, io), limits);
}

/** Opens what was read, as {@link openInput} does. */
export async function inputOf(source: Source, limits?: ImageLimits): Promise<Input> {
  if (!isSafetensors(source.bytes)) return await imageOf(source, limits);
  return await readTensors(await Safetensors.open(bytesSource(source.name, source.bytes)));
}

/** Opens a PNG, JPEG or WebP file; `-` is stdin. @throws {FileError} It is none of them. */
export async function openImageFile(
  path: string,
  io: Io,
  limits?: ImageLimits,
): Promise<OpenImage> {
  return await imageOf(await readSource(path, io), limits);
}

async function imageOf({ name, bytes }: Source, limits?: ImageLimits): Promise<OpenImage> {
  const { openImage } = await import("../../model/image/read_image.ts");
  return await openImage(bytes, name, limits);
}

/** Whether bytes begin as a safetensors file does: with the length of its header, and the header's brace. */
function isSafetensors(bytes: Uint8Array<ArrayBuffer>): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false;
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true) <= bytes.length - 8;
}

async function readTensors(file: TensorFile): Promise<Input> {
  try {
    return holdsBits(file) || !file.tensors.has("image")
      ? { ...await readBits(file), name: file.name }
      : await readFloats(file);
  } finally {
    file.close();
  }
}

/** `image` f32 [3, H, W] or [1, 3, H, W]. */
async function readFloats(file: TensorFile): Promise<FloatImage> {
  const { dtype, shape } = file.get("image");
  const [channels, height = 0, width = 0] = shape.length === 4 && shape[0] === 1
    ? shape.slice(1)
    : shape;
  if (dtype !== "F32" || channels !== 3 || shape.length < 3 || !height || !width) {
    throw new InputError(
      "bad-file",
      `Cannot use ${quote(file.name)}: image is ${dtype} [${shape.join(", ")}], not F32 [3, ` +
        "height, width]",
    );
  }
  return { width, height, rgb: await file.readFloat32("image") };
}

/** Returns an image as bits: encodes it, unless it is bits already. */
export async function asBits(
  model: InfinityModel,
  input: Input,
  io: Io,
  options: EncodeOptions = {},
): Promise<ImageBits> {
  if ("scales" in input) return input;
  return await orAbort(io.signal, model.encode(input, { ...options, signal: io.signal }));
}
