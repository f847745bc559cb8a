/** What OpenAI's answers and events say. */

import type { Made } from "../../jobs/job.ts";
import type { Order } from "../making/orders.ts";
import { type Form, seedOf, sendImage } from "../making/results.ts";
import type { Service } from "../making/service.ts";
import type { CommonFields } from "./schemas.ts";

/** Which of OpenAI's events tell of an image. */
export type Kind = "image_generation" | "image_edit";

/** A request that was checked. */
export interface Asked {
  readonly kind: Kind;
  readonly fields: CommonFields;
  readonly order: Order;
  readonly form: Form;
}

/** What is said of all images: what OpenAI lets clients choose and this server does not is what it comes to. */
export function about({ width, height }: { width: number; height: number }, { format }: Form) {
  return {
    size: `${width}x${height}`,
    quality: "high",
    background: "opaque",
    output_format: format,
  };
}

/** An image of an answer or an event. */
export async function dataOf(
  service: Service,
  { order, form, fields }: Asked,
  made: Made,
  index: number,
  signal: AbortSignal,
) {
  return {
    ...await sendImage(service, made, form, signal),
    seed: seedOf(order, index),
    parameters: made.parameters,
    warnings: [...made.warnings],
    ...fields.include_bits && { bits: made.bits.toBase64() },
  };
}

/** The tokens of images. */
export function usage(
  { model: { card } }: Service,
  { width, height }: { width: number; height: number },
  images: number,
) {
  const size = card.sizes.find((size) => size.width === width && size.height === height);
  const tokens = images *
    (size?.schedule.reduce((sum, [rows, columns]) => sum + rows * columns, 0) ?? 0);
  return {
    input_tokens: 0,
    output_tokens: tokens,
    total_tokens: tokens,
    input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  };
}

/** Seconds since 1970. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}
