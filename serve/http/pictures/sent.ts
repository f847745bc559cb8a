/** Images that clients send: from base64 or bytes to what a job takes. */

import { FileError, InputError } from "../../../engine/mod.ts";
import { isSafetensors } from "../../../model/generate/images/open_input.ts";
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

/**
 * Checks an image or bits as far as their headers go; the pixels are read when it is their turn.
 *
 * @param edits Whether the model can encode images; bits it can always take.
 * @returns The file in base64.
 * @throws {RequestError} It is not such a file, or it is too large.
 */
export async function checkSent(
  file: Uint8Array<ArrayBuffer>,
  param: string,
  maxPixels: number,
  edits: boolean,
): Promise<string> {
  if (isSafetensors(file)) {
    if (file.length > MOST_BITS_BYTES) {
      throw badField(param, `bits have at most ${MOST_BITS_BYTES} bytes, these ${file.length}`);
    }
    return file.toBase64();
  }
  if (!edits) {
    throw badField(param, "the model cannot encode images, only take bits", "no-encoder");
  }
  try {
    await openImage(file, param, { maxPixels });
  } catch (error) {
    if (error instanceof FileError || error instanceof InputError) {
      throw new RequestError(400, error.code, error.message, { param });
    }
    throw error;
  }
  return file.toBase64();
}
