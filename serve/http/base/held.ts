/** Bodies of requests: read within limits, and counted until nobody needs them. */

import { RequestError } from "./errors.ts";
import type { Limits } from "./limits.ts";

/** Bytes of all bodies that are kept. */
export class Bodies {
  #bytes = 0;

  /** Keeps at most `limits.heldBytes`. */
  constructor(readonly limits: Limits) {}

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts more. @throws {RequestError} 429: there are too many. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.limits.heldBytes) {
      throw new RequestError(
        429,
        "too-many-bytes",
        "Cannot take another image: too many are held already; try again in 1 s",
        { headers: { "retry-after": "1" } },
      );
    }
    this.#bytes += bytes;
  }

  /** Counts fewer. */
  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** The body of one request. */
export class Held {
  #bytes = 0;
  #users = 0;

  /** Counts among `bodies`. */
  constructor(private readonly bodies: Bodies) {}

  /** Counts the body until a promise has settled; the last of several releases it. */
  async until<T>(promise: Promise<T>): Promise<T> {
    this.#users++;
    try {
      return await promise;
    } finally {
      if (--this.#users === 0) {
        this.bodies.release(this.#bytes);
        this.#bytes = 0;
      }
    }
  }

  /**
   * Reads the body.
   *
   * @param most The most bytes.
   * @throws {RequestError} 413: it has more bytes; 408: it arrives too slowly; 415: it is compressed; 429: see
   * {@link Bodies.take}; 400: it ended early.
   */
  async read(request: Request, most: number): Promise<Uint8Array<ArrayBuffer>> {
    const encoding = request.headers.get("content-encoding") ?? "identity";
    if (encoding !== "identity") {
      const message = "Cannot read the body: it is compressed; send it as it is";
      throw new RequestError(415, "compressed-body", message);
    }
    if (Number(request.headers.get("content-length")) > most) throw tooLarge(most);
    if (!request.body) return new Uint8Array();
    const reader = request.body.getReader();
    const { bodySeconds } = this.bodies.limits;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(tooSlow(bodySeconds)), bodySeconds * 1000);
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for (;;) {
        const { done, value } = await Promise.race([reader.read(), late.promise]);
        if (done) break;
        length += value.length;
        if (length > most) throw tooLarge(most);
        this.bodies.take(value.length);
        this.#bytes += value.length;
        chunks.push(value);
      }
    } catch (error) {
      // not cancelled: Deno would read the rest to its end, however long it is
      reader.releaseLock();
      if (error instanceof RequestError) throw error;
      throw new RequestError(400, "cut-body", "Cannot read the body: it ended early");
    } finally {
      clearTimeout(timer);
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }
}

function tooLarge(most: number): RequestError {
  const message = `Cannot read the body: it has more than ${most} bytes`;
  return new RequestError(413, "body-too-large", message, { headers: { connection: "close" } });
}

function tooSlow(seconds: number): RequestError {
  const message = `Cannot read the body: it took more than ${seconds} s to arrive`;
  return new RequestError(408, "slow-body", message, { headers: { connection: "close" } });
}
