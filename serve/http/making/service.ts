/** What all APIs share: who makes images, where results go, what is allowed. */

import type { Made, Maker, ModelCard, Watch } from "../../jobs/job.ts";
import type { Pictures } from "../pictures/pictures.ts";
import { type Problem, RequestError } from "../base/errors.ts";
import type { Files } from "./files.ts";
import type { Bodies } from "../base/held.ts";
import type { Limits } from "../base/limits.ts";
import { jobsOf, type Order } from "./orders.ts";

/** What an API is made of. */
export interface Service {
  readonly maker: Maker;
  readonly model: LoadedModel;
  readonly limits: Limits;
  readonly bodies: Bodies;
  readonly pictures: Pictures;
  /** Where results are kept; absent if only answers have them. */
  readonly files?: Files;
  /** The server's origin, as the client of a request knows it. */
  originOf(request: Request): string;
  /** Says what an error means to a client, and logs it if it is the server's fault. */
  report(error: unknown): Problem;
}

/** The model's card, once it is loaded. */
export class LoadedModel {
  #card: ModelCard | null = null;
  #failed = false;

  /** Waits for the card of a maker. */
  constructor(private readonly maker: Maker) {
    maker.card.then((card) => this.#card = card, () => this.#failed = true);
  }

  /** Whether jobs can be made. */
  get ready(): boolean {
    return this.#card !== null && this.maker.state().ready;
  }

  /** The card. @throws {RequestError} 503: it is not loaded yet, or could not be. */
  get card(): ModelCard {
    if (this.#card) return this.#card;
    throw this.#failed
      ? new RequestError(503, "not-loaded", "Cannot make images: the model could not be loaded")
      : new RequestError(503, "loading", "Cannot make images yet: the model is loading", {
        headers: { "retry-after": "2" },
      });
  }
}

/** What is done with each image of an order. */
export interface Each<T> {
  /** What is told of it while it is made. */
  watch?(index: number): Omit<Watch, "signal">;
  /** Called with it when it is made, before others are. The signal aborts with the order, or when another image failed. */
  use(made: Made, index: number, signal: AbortSignal): Promise<T>;
}

/**
 * Makes all images of an order; if one fails, the others are aborted.
 *
 * @param signal Aborts them.
 * @returns What was made of each.
 * @throws As {@link Maker.make}, of the first that failed.
 */
export async function makeAll<T>(
  { maker }: Service,
  order: Order,
  signal: AbortSignal,
  { watch, use }: Each<T>,
): Promise<T[]> {
  const own = new AbortController();
  const both = AbortSignal.any([signal, own.signal]);
  try {
    return await Promise.all(
      jobsOf(order).map(async (job, i) =>
        await use(await maker.make(job, { ...watch?.(i), signal: both }), i, both)
      ),
    );
  } catch (error) {
    own.abort(new DOMException("Another image of the request failed", "AbortError"));
    throw error;
  }
}
