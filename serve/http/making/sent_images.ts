/** Images of requests, as jobs take them. */

import { checkSent } from "../pictures/sent.ts";
import type { Service } from "./service.ts";

/** An image to start from, in base64. @throws {RequestError} It is none. */
export async function initOf(
  { limits: { maxPixels }, model: { card } }: Service,
  file: Uint8Array<ArrayBuffer>,
  param = "image",
): Promise<string> {
  return await checkSent(file, param, maxPixels, card.edits);
}

/**
 * A mask whose white parts may change, in base64.
 *
 * @param how What may change of what was sent: the transparent parts, if there are any (`alpha`); the black parts
 * (`invert`).
 * @throws {RequestError} It is not an image.
 */
export async function maskOf(
  { limits: { maxPixels }, pictures, model: { card } }: Service,
  file: Uint8Array<ArrayBuffer>,
  how: { readonly alpha: boolean; readonly invert: boolean },
): Promise<string> {
  await checkSent(file, "mask", maxPixels, card.edits);
  return (await pictures.ask({ kind: "mask", file, ...how, maxPixels })).toBase64();
}
