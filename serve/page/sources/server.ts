/**
 * Draws by the server that the page comes from, with its API in OpenAI's shape.
 *
 * @module
 */

import { BITS, fromBase64, isBits } from "../data/bytes.ts";
import { readEvents } from "./events.ts";
import { Failure, failureOf } from "../data/failure.ts";
import type { Ask, Card, Source, Viewer } from "../data/source.ts";

/** Where a token that was typed is kept until the tab closes. */
const TOKEN = "bitwise.token";

/** Keeps a token for the requests that follow. */
export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

/** The data of an event, as far as the page reads it. */
interface ServerEvent {
  readonly type: string;
  readonly b64_json: string;
  readonly index?: number;
  readonly scale: number;
  readonly scales: number;
  readonly seed: string | number;
  readonly parameters: string;
  readonly bits?: string;
  readonly error?: { readonly message?: string };
}

/** The server as a source. */
export const server: Source = {
  async card(): Promise<Card> {
    const response = await request("v1/models", {});
    const model = (await response.json())?.data?.[0];
    if (!model?.bitwise?.sizes?.length) throw new Failure("The server has no model");
    const { sizes, defaults, edits, limits } = model.bitwise;
    return { name: model.id, sizes, defaults, edits, maxImages: limits?.n ?? 1 };
  },

  async draw(ask: Ask, viewer: Viewer): Promise<void> {
    const { signal } = viewer;
    const response = await request(...ask.start ? editing(ask) : generating(ask), signal);
    let left = ask.count;
    for await (const data of readEvents(response.body!)) {
      if (data === "[DONE]") break;
      left -= tell(JSON.parse(data) as ServerEvent, viewer);
    }
    if (left > 0) throw new Failure("The server ended before the picture was complete");
  },
};

/** Tells the viewer of an event. Returns the number of pictures that it completes. */
function tell(event: ServerEvent, viewer: Viewer): number {
  const { type, error, index = 0, scale, scales, seed, parameters, bits } = event;
  if (error) throw new Failure(error.message ?? "The server could not draw this");
  if (type.endsWith(".partial_image")) {
    viewer.onScale({ index, scale, scales, image: fromBase64(event.b64_json, "image/png") });
    return 0;
  }
  if (!type.endsWith(".completed")) return 0;
  viewer.onPicture({
    index,
    seed: `${seed}`,
    image: fromBase64(event.b64_json, "image/png"),
    parameters,
    bits: bits === undefined ? undefined : fromBase64(bits, BITS),
  });
  return 1;
}

/** The fields of a request that all kinds share. */
function fields(ask: Ask): Record<string, unknown> {
  return {
    prompt: ask.prompt,
    negative_prompt: ask.negativePrompt,
    size: ask.width && ask.height ? `${ask.width}x${ask.height}` : undefined,
    cfg_scale: ask.cfgScale,
    tau: ask.tau,
    seed: ask.seed,
    n: ask.count,
    output_format: "png",
    stream: true,
    include_bits: true,
  };
}

function generating(ask: Ask): [string, RequestInit] {
  const headers = { "Content-Type": "application/json" };
  return ["v1/images/generations", { method: "POST", headers, body: JSON.stringify(fields(ask)) }];
}

function editing(ask: Ask): [string, RequestInit] {
  const { image, mask, strength, keepScales } = ask.start!;
  const body = new FormData();
  const all = { ...fields(ask), strength, keep_scales: keepScales };
  for (const [name, value] of Object.entries(all)) {
    if (value === undefined) continue;
    body.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  body.append("image", image, isBits(image) ? "image.bits" : "image");
  if (mask) body.append("mask", mask, "mask.png");
  return ["v1/images/edits", { method: "POST", body }];
}

/** Asks the server, with the token if there is one. */
async function request(path: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN);
  const headers = new Headers(init.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure("Cannot reach the server: it does not answer; see that it runs");
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}
