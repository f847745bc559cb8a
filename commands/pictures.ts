/**
 * Pictures and bits, as commands take them from files.
 *
 * @module
 */

import { InputError, quote } from "../engine/errors.ts";
import type { TensorFile } from "../engine/safetensors.ts";
import type { WeightType } from "../kernels/linear/linear.ts";
import { holdsBits, readBits } from "../model/bits/bits_file.ts";
import type { InfinityModel } from "../model/infinity.ts";
import type { PictureBits } from "../model/bits/picture_bits.ts";
import type { Picture } from "../model/image/png.ts";
import type { EncodeOptions, FloatPicture } from "../model/generate/picture_input.ts";
import { implementation } from "./gpu.ts";
import { type Io, orAbort } from "./io.ts";
import type { ProgressLine } from "./progress.ts";

/** What a file holds that shows a picture. */
export type Input = Picture | FloatPicture | PictureBits;

/**
 * Reads a PNG, JPEG or WebP file, bits that `encode` wrote, or a safetensors file with `image` f32 [3, H, W] from −1 to
 * 1.
 *
 * @throws {FileError} it cannot be read, or is none of them.
 * @throws {InputError} `bad-bits`, `bad-file`: a safetensors file without bits or an image.
 */
export async function readInput(path: string): Promise<Input> {
  if (/\.safetensors$/i.test(path)) {
    const { openTensorFile } = await import("../model/checkpoint/files.ts");
    const file = await openTensorFile(path);
    try {
      return holdsBits(file) || !file.tensors.has("image")
        ? { ...await readBits(file), name: path }
        : await readImage(file);
    } finally {
      file.close();
    }
  }
  return await readPictureFile(path);
}

/** Reads a PNG, JPEG or WebP file. @throws {FileError} it is none. */
export async function readPictureFile(path: string): Promise<Picture> {
  const { readPicture } = await import("../model/image/picture.ts");
  return await readPicture(await readFile(path), path);
}

/** Reads a whole file. @throws {FileError} */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { fileSource } = await import("../model/checkpoint/files.ts");
  const source = await fileSource(path);
  try {
    return await source.read(0, source.size) as Uint8Array<ArrayBuffer>;
  } finally {
    source.close();
  }
}

/** `image` f32 [3, H, W] or [1, 3, H, W]. */
async function readImage(file: TensorFile): Promise<FloatPicture> {
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

/** A picture as bits: encoded, if it is not already. */
export async function asBits(
  model: InfinityModel,
  input: Input,
  io: Io,
  options: EncodeOptions = {},
): Promise<PictureBits> {
  if ("scales" in input) return input;
  return await orAbort(io.signal, model.encode(input, { ...options, signal: io.signal }));
}

/** What says which model is meant, and how to run it. */
export interface ModelGiven {
  readonly model?: string;
  readonly type?: WeightType;
  readonly gpu?: "wgpu" | "dawn";
}

/** Loads a model folder, each part when it is used, and tells what is being loaded. */
export async function loadModel(
  { model, type, gpu: name }: ModelGiven,
  io: Io,
  progress: ProgressLine,
): Promise<InfinityModel> {
  const { InfinityModel } = await import("../model/infinity.ts");
  const onProgress = (what: string) => progress.show(`Loading ${what}`);
  const gpu = await implementation(name);
  return await orAbort(io.signal, InfinityModel.load(model, { gpu, type, lazy: true, onProgress }));
}
