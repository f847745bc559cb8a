/** Images of requests, as jobs take them. */

import { badField } from "../base/fields.ts";
import { checkMask, checkSent, named } from "../pictures/sent.ts";
import { nameOf, type Names } from "./orders.ts";
import type { Service } from "./service.ts";

/** The files of a request. */
export interface SentImages {
  /** The image to start from, or bits. */
  readonly image?: Uint8Array<ArrayBuffer>;
  /** What of it may change: white parts. */
  readonly mask?: Uint8Array<ArrayBuffer>;
  /** Whether it is the mask's transparent parts, if there are any. */
  readonly alpha?: boolean;
  /** Whether it is the mask's black parts. */
  readonly invert?: boolean;
}

/** The same in base64, as jobs take them. */
export interface ReadImages {
  readonly init: string | undefined;
  readonly mask: string | undefined;
}

/**
 * Reads the files of a request.
 *
 * @param signal Ends the reading.
 * @throws {RequestError} One is not an image, or the mask is not of its image's size.
 */
export async function imagesOf(
  { limits: { maxPixels }, pictures, model: { card } }: Service,
  { image, mask, alpha = false, invert = false }: SentImages,
  signal: AbortSignal,
  names: Names = {},
): Promise<ReadImages> {
  const param = nameOf(names, "mask");
  if (!image) {
    if (mask) throw badField(param, "give the image too");
    return { init: undefined, mask: undefined };
  }
  const size = await checkSent(image, nameOf(names, "image"), maxPixels, card.edits);
  const init = image.toBase64();
  if (!mask) return { init, mask: undefined };
  await checkMask(mask, param, maxPixels, size);
  const order = { kind: "mask", file: mask, alpha, invert, maxPixels } as const;
  const white = await named(param, pictures.ask(order, signal));
  return { init, mask: white.toBase64() };
}
