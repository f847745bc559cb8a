/**
 * Images and bits, as commands take them from files.
 *
 * @module
 */

import { readSource } from "./input.ts";
import { type Io, warn } from "./io.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import type { ImageBits } from "../../model/bits/image_bits.ts";
import type { EncodeOptions } from "../../model/generate/images/image_input.ts";
import type { OpenInput } from "../../model/generate/images/open_input.ts";
import type { ImageLimits } from "../../model/image/base/rows.ts";
import type { OpenImage } from "../../model/image/read_image.ts";
import { orAbort } from "../../engine/mod.ts";

/**
 * Reads a PNG, JPEG or WebP file, bits that `encode` wrote, or a safetensors file with `image` f32 [3, H, W] from −1 to
 * 1. `-` is stdin. Prints what the file's {@link OpenImage.warnings} say.
 *
 * @throws {FileError} It cannot be read, or is none of them.
 * @throws {InputError} `bad-bits`, `bad-file`: a safetensors file without bits or an image.
 */
export async function readInput(path: string, io: Io, limits?: ImageLimits): Promise<OpenInput> {
  const input = await openInputFile(path, io, limits);
  if ("warnings" in input) { for (const line of input.warnings) warn(io, line); }
  return input;
}

/** The same without printing, for those who hand on the warnings. */
export async function openInputFile(
  path: string,
  io: Io,
  limits?: ImageLimits,
): Promise<OpenInput> {
  // a large file of weights, given by mistake, is not read into memory
  if (/\.safetensors$/i.test(path)) {
    const { openTensorFile } = await import("../../model/checkpoint/files.ts");
    const { tensorInput } = await import("../../model/generate/images/open_input.ts");
    return await tensorInput(await openTensorFile(path));
  }
  const { name, bytes } = await readSource(path, io);
  const { openInput } = await import("../../model/generate/images/open_input.ts");
  return await openInput(bytes, name, limits);
}

/** Opens a PNG, JPEG or WebP file; `-` is stdin. @throws {FileError} It is none of them. */
export async function openImageFile(
  path: string,
  io: Io,
  limits?: ImageLimits,
): Promise<OpenImage> {
  const { name, bytes } = await readSource(path, io);
  const { openImage } = await import("../../model/image/read_image.ts");
  return await openImage(bytes, name, limits);
}

/** Returns an image as bits: encodes it, unless it is bits already. */
export async function asBits(
  model: InfinityModel,
  input: OpenInput,
  io: Io,
  options: EncodeOptions = {},
): Promise<ImageBits> {
  if ("scales" in input) return input;
  return await orAbort(io.signal, model.encode(input, { ...options, signal: io.signal }));
}
