/**
 * How long to wait for the hub, and the error for when it is not as it should be.
 *
 * @module
 */

import { BitwiseError, type BitwiseErrorOptions } from "../../engine/mod.ts";

/** The hub refuses, cannot be reached, or sent something else than it promised. */
export class HubError extends BitwiseError {
  /** Always `"HubError"`, also when minified. */
  override readonly name: string = "HubError";
  /** Whether it may work if tried again right away. */
  readonly passing: boolean;

  /** Makes an error. */
  constructor(
    code: string,
    message: string,
    options?: BitwiseErrorOptions & { passing?: boolean },
  ) {
    super(code, message, options);
    this.passing = options?.passing ?? false;
  }
}

/** Runs out where nothing arrives for too long. */
export class Patience {
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Aborted when it has run out, or by the user. */
  readonly signal: AbortSignal;

  /** @throws The user's reason, if that came first. */
  constructor(private readonly ms: number, user: AbortSignal | undefined) {
    this.signal = user ? AbortSignal.any([user, this.#stop.signal]) : this.#stop.signal;
    user?.throwIfAborted();
  }

  /** Why it ended, if it did. */
  get reason(): unknown {
    return this.signal.aborted ? this.signal.reason : undefined;
  }

  /** Starts to count anew. */
  renew(): void {
    this.pause();
    const message = `Cannot go on: the hub has sent nothing for ${
      this.ms / 1000
    } s; run it again to go on`;
    const error = new HubError("stalled", message, { passing: true });
    this.#timer = setTimeout(() => this.#stop.abort(error), this.ms);
  }

  /** Counts no further until renewed. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Ends the count. */
  [Symbol.dispose](): void {
    this.pause();
  }
}
