/** Images that clients send: from base64 or bytes to what a job takes. */

import { FileError, InputError, SafetensorsError } from "../../../engine/mod.ts";
import { isSafetensors, openInput } from "../../../model/generate/images/open_input.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { RequestError } from "../base/errors.ts";
import { badField } from "../base/fields.ts";

/** Bytes of a bits file; one of 1024x1024 pixels has 42 kB. */
const MOST_BITS_BYTES = 2 ** 20;

/** Reads base64, or a data URL that holds it. @throws {RequestError} It is neither. */
export function bytesOf(text: string, param: string): Uint8Array<ArrayBuffer> {
  const data = /^data:[^,]{0,100};base64,/i.exec(text)?.[0] ?? "";
  if (!data && /^[a-z]{2,10}:/i.test(text)) {
    throw badField(param, "give a file, base64 or a data URL; the server fetches no other URL");
  }
  try {
    return Uint8Array.fromBase64(text.slice(data.length));
  } catch {
    throw badField(param, "it is not base64");
  }
}

/** Pixels of an image. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Checks an image or bits as far as their headers go; the pixels are read when it is their turn.
 *
 * @param edits Whether the model can encode images; bits it can always take.
 * @throws {RequestError} It is not such a file, or it is too large.
 */
export async function checkSent(
  file: Uint8Array<ArrayBuffer>,
  param: string,
  maxPixels: number,
  edits: boolean,
): Promise<Size> {
  if (!isSafetensors(file)) {
    if (!edits) {
      throw badField(param, "the model cannot encode images, only take bits", "no-encoder");
    }
  } else if (file.length > MOST_BITS_BYTES) {
    throw badField(param, `bits have at most ${MOST_BITS_BYTES} bytes, these ${file.length}`);
  }
  return await named(param, openInput(file, param, { maxPixels }));
}

/** Checks a mask in the same way. @throws {RequestError} It has another size than its image, among others. */
export async function checkMask(
  file: Uint8Array<ArrayBuffer>,
  param: string,
  maxPixels: number,
  image: Size,
): Promise<void> {
  const { width, height } = await named(param, openImage(file, param, { maxPixels }));
  if (width === image.width && height === image.height) return;
  const why = `it has ${width}x${height} pixels, the image ${image.width}x${image.height}; make ` +
    "them the same";
  throw badField(param, why, "other-size");
}

/** Names the field whose file is wrong. */
export async function named<T>(param: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    const wrong = error instanceof FileError || error instanceof InputError ||
      error instanceof SafetensorsError;
    throw wrong ? new RequestError(400, error.code, error.message, { param }) : error;
  }
}
