/**
 * Images and bits, as commands take them from files.
 *
 * @module
 */

import { implementation } from "../flags/gpu.ts";
import { type Io, orAbort } from "./io.ts";
import type { ProgressLine } from "./progress.ts";
import { InputError, quote, type TensorFile } from "../../engine/mod.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import { holdsBits, readBits } from "../../model/bits/bits_file.ts";
import type { ImageBits } from "../../model/bits/image_bits.ts";
import type { EncodeOptions, FloatImage } from "../../model/generate/image_input.ts";
import type { Image } from "../../model/image/png.ts";

/** What a file holds that shows an image. */
export type Input = Image | FloatImage | ImageBits;

/**
 * Reads a PNG, JPEG or WebP file, bits that `encode` wrote, or a safetensors file with `image` f32 [3, H, W] from −1 to
 * 1.
 *
 * @throws {FileError} it cannot be read, or is none of them.
 * @throws {InputError} `bad-bits`, `bad-file`: a safetensors file without bits or an image.
 */
export async function readInput(path: string): Promise<Input> {
  if (/\.safetensors$/i.test(path)) {
    const { openTensorFile } = await import("../../model/checkpoint/files.ts");
    const file = await openTensorFile(path);
    try {
      return holdsBits(file) || !file.tensors.has("image")
        ? { ...await readBits(file), name: path }
        : await readImage(file);
    } finally {
      file.close();
    }
  }
  return await readImageFile(path);
}

/** Reads a PNG, JPEG or WebP file. @throws {FileError} it is none. */
export async function readImageFile(path: string): Promise<Image> {
  const { readImage } = await import("../../model/image/read_image.ts");
  return await readImage(await readFile(path), path);
}

/** Reads a whole file. @throws {FileError} */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { fileSource } = await import("../../model/checkpoint/files.ts");
  const source = await fileSource(path);
  try {
    return await source.read(0, source.size) as Uint8Array<ArrayBuffer>;
  } finally {
    source.close();
  }
}

/** `image` f32 [3, H, W] or [1, 3, H, W]. */
async function readImage(file: TensorFile): Promise<FloatImage> {
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

/** An image as bits: encoded, if it is not already. */
export async function asBits(
  model: InfinityModel,
  input: Input,
  io: Io,
  options: EncodeOptions = {},
): Promise<ImageBits> {
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
  const { InfinityModel } = await import("../../model/infinity.ts");
  const onProgress = (what: string) => progress.show(`Loading ${what}`);
  const gpu = await implementation(name);
  return await orAbort(io.signal, InfinityModel.load(model, { gpu, type, lazy: true, onProgress }));
}
