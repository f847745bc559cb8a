/**
 * Images and bits in files, which are told apart by their first bytes.
 *
 * @module
 */

import {
  bytesSource,
  InputError,
  quote,
  Safetensors,
  type TensorFile,
} from "../../../engine/mod.ts";
import { holdsBits, readBits } from "../../bits/bits_file.ts";
import type { ImageBits } from "../../bits/image_bits.ts";
import type { ImageLimits } from "../../image/base/rows.ts";
import { type OpenImage, openImage } from "../../image/read_image.ts";
import type { FloatImage } from "./image_input.ts";

/** An image, as pixels or as bits. */
export type OpenInput = OpenImage | FloatImage | ImageBits;

/**
 * Opens a PNG, JPEG or WebP file, bits, or a safetensors file with `image` f32 [3, H, W] from −1 to 1.
 *
 * @param name The file's name, for messages.
 * @throws {FileError} It is none of them, or cannot be decoded.
 * @throws {InputError} `bad-bits`, `bad-file`: a safetensors file without bits or an image.
 */
export async function openInput(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  limits?: ImageLimits,
): Promise<OpenInput> {
  if (!isSafetensors(bytes)) return await openImage(bytes, name, limits);
  return await tensorInput(await Safetensors.open(bytesSource(name, bytes)));
}

/** Whether bytes begin as a safetensors file does: with the length of its header, and the header's brace. */
export function isSafetensors(bytes: Uint8Array<ArrayBuffer>): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false;
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true) <= bytes.length - 8;
}

/** Reads an image or bits from an open safetensors file, and closes it. */
export async function tensorInput(file: TensorFile): Promise<OpenInput> {
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
