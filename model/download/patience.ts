/**
 * How long a download waits for the server, and the error that ends one.
 *
 * @module
 */

import { BitwiseError, type BitwiseErrorOptions } from "../../engine/mod.ts";

/** A server refuses, cannot be reached, or sent something other than it promised. */
export class DownloadError extends BitwiseError {
  /** Always `"DownloadError"`, also when minified. */
  override readonly name: string = "DownloadError";
  /** Whether it may work if tried again right away. */
  readonly passing: boolean;

  /** Makes an error. */
  constructor(
    code: string,
    message: string,
    options?: BitwiseErrorOptions & { readonly passing?: boolean },
  ) {
    super(code, message, options);
    this.passing = options?.passing ?? false;
  }
}

/** Aborts its signal if nothing arrives for too long. */
export class Patience {
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Aborted when the time runs out, or by the user. */
  readonly signal: AbortSignal;

  /**
   * @param ms The most milliseconds to wait for the next bytes.
   * @param user The user's own signal.
   * @throws The user's reason, if that signal is aborted already.
   */
  constructor(private readonly ms: number, user: AbortSignal | undefined) {
    this.signal = user ? AbortSignal.any([user, this.#stop.signal]) : this.#stop.signal;
    user?.throwIfAborted();
  }

  /** Why the signal was aborted; undefined if it was not. */
  get reason(): unknown {
    return this.signal.aborted ? this.signal.reason : undefined;
  }

  /** Restarts the time. */
  renew(): void {
    this.pause();
    const message = `Cannot continue: the server has sent nothing for ${
      this.ms / 1000
    } s; run it again to continue`;
    const error = new DownloadError("stalled", message, { passing: true });
    this.#timer = setTimeout(() => this.#stop.abort(error), this.ms);
  }

  /** Stops the time until it is renewed. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Stops the time. */
  [Symbol.dispose](): void {
    this.pause();
  }
}
