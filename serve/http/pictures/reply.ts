/** What the thread of {@link Pictures} does with an order. */

import { encodeJpeg, encodeWebp } from "../../../deps/@jsquash/encode.ts";
import { sendError } from "../../../engine/mod.ts";
import { parseParameters } from "../../../model/generate/plan/parameters.ts";
import { isOpaque } from "../../../model/image/base/shape.ts";
import { encodePng, readPngText } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import type { Answers, Order, Reply } from "./messages.ts";

async function encode(
  { image, format, quality, parameters }: Order & { kind: "encode" },
): Promise<Answers["encode"]> {
  const { width, height, rgba } = image;
  if (format === "png") {
    return encodePng(rgba, width, height, parameters === undefined ? {} : { parameters });
  }
  const data = new ImageData(
    new Uint8ClampedArray(rgba.buffer, rgba.byteOffset, rgba.length),
    width,
    height,
  );
  return new Uint8Array(await (format === "jpeg" ? encodeJpeg : encodeWebp)(data, { quality }));
}

async function mask(
  { file, alpha, invert, maxPixels }: Order & { kind: "mask" },
): Promise<Answers["mask"]> {
  const open = await openImage(file, "mask", { maxPixels });
  if (open.opaque && !invert) return file;
  const { width, height, rgba } = await open.image();
  const byAlpha = alpha && !isOpaque(rgba);
  if (!byAlpha && !invert) return file;
  for (let i = 0; i < rgba.length; i += 4) {
    const clear = rgba[i + 3]! < 128 ? 255 : 0;
    for (let c = i; c < i + 3; c++) {
      const white = byAlpha ? clear : rgba[c]!;
      rgba[c] = invert ? 255 - white : white;
    }
    rgba[i + 3] = 255;
  }
  return encodePng(rgba, width, height);
}

function prompt({ file }: Order & { kind: "prompt" }): Answers["prompt"] {
  if (file[0] !== 0x89 || file[1] !== 0x50) return null;
  const { parameters } = readPngText(file);
  return parameters === undefined ? null : parseParameters(parameters).prompt || null;
}

function answer(order: Order): Promise<Answers["encode"]> | Answers["prompt"] {
  switch (order.kind) {
    case "encode":
      return encode(order);
    case "mask":
      return mask(order);
    case "prompt":
      return prompt(order);
  }
}

/** Does what is asked. Never rejects. */
export async function replyTo(order: Order): Promise<Reply> {
  try {
    return { answer: await answer(order) };
  } catch (error) {
    return { error: sendError(error, "Cannot read or write an image") };
  }
}
