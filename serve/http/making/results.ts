/** From images to what answers hold. */

import { jsonSeed } from "../../../model/generate/plan/seed.ts";
import type { Made, Pixels } from "../../jobs/job.ts";
import { RequestError } from "../base/errors.ts";
import type { Format } from "../pictures/messages.ts";
import type { Order } from "./orders.ts";
import type { Service } from "./service.ts";

/** In which form a client wants its images. */
export interface Form {
  readonly format: Format;
  /** Percent, of a JPEG or WebP. */
  readonly quality: number;
  /** Whether images are kept in the store, and named by URLs. */
  readonly urls: boolean;
  /** The server's origin, for URLs. */
  readonly origin: string;
}

/** An image in an answer: in base64, or behind a URL. */
export type Sent = { readonly b64_json: string } | { readonly url: string };

/** Quality of JPEGs and WebPs if none is said. */
export const QUALITY = 90;

/** Refuses URLs where nothing is kept. @throws {RequestError} */
export function checkUrls({ files }: Service, urls: boolean, param: string): void {
  if (!urls || files) return;
  const message = `Cannot use ${param}: this server keeps no files; take the images in the answer`;
  throw new RequestError(400, "no-store", message, { param });
}

/** Writes the image of a scale. */
export async function sendPreview(
  { pictures }: Service,
  image: Pixels,
  { format, quality }: Form,
  signal: AbortSignal,
): Promise<string> {
  return (await pictures.ask({ kind: "encode", image, format, quality }, signal)).toBase64();
}

/** Writes an image, and keeps it if the client wants a URL. */
export async function sendImage(
  { pictures, files }: Service,
  { width, height, rgba, parameters }: Made,
  { format, quality, urls, origin }: Form,
  signal: AbortSignal,
): Promise<Sent> {
  const image = { width, height, rgba };
  const file = await pictures.ask({ kind: "encode", image, format, quality, parameters }, signal);
  return urls && files
    ? { url: await files.keep(file, format, origin) }
    : { b64_json: file.toBase64() };
}

/** The seed of an image of an order, as JSON has it. */
export function seedOf({ seed }: Order, index: number): number | string {
  return jsonSeed(BigInt.asUintN(64, seed + BigInt(index)));
}
