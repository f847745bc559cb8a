/**
 * How long a download waits for the server, and the error that ends one.
 *
 * @module
 */

import { BitwiseError, type BitwiseErrorOptions, formatBytes } from "../../engine/mod.ts";

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

/** The least bytes a second that count as getting on: a tenth of what the slowest mobile networks have. */
export const LEAST_RATE = 1000;

/** Aborts its signal if nothing arrives for too long, or hardly anything. */
export class Patience {
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #since = 0;
  /** Milliseconds of waiting for pieces, and their bytes, since they were last looked at. */
  #waited = 0;
  #bytes = 0;
  /** Aborted when the time runs out, or by the user. */
  readonly signal: AbortSignal;

  /**
   * @param ms The most milliseconds to wait for the next bytes, and those in which {@linkcode LEAST_RATE} must be
   * reached; a minute if absent.
   * @param user The user's own signal.
   * @throws The user's reason, if that signal is aborted already.
   */
  constructor(private readonly ms: number = 60_000, user?: AbortSignal) {
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
    this.#since = performance.now();
    const detail = `the server has sent nothing for ${this.ms / 1000} s`;
    this.#timer = setTimeout(() => this.#end("stalled", detail), this.ms);
  }

  /** Stops the time until it is renewed. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /**
   * Stops the time, because a piece of a body arrived.
   *
   * @throws {DownloadError} `too-slow`: in all, too little did.
   * @throws The user's reason, if that signal is aborted.
   */
  received(bytes: number): void {
    this.pause();
    this.#bytes += bytes;
    this.#waited += performance.now() - this.#since;
    if (this.#waited >= this.ms) {
      const seconds = this.#waited / 1000;
      if (this.#bytes < LEAST_RATE * seconds) {
        const sent = `sent only ${formatBytes(this.#bytes)} in ${Number(seconds.toPrecision(2))} s`;
        this.#end("too-slow", `the server ${sent}, less than ${formatBytes(LEAST_RATE)} a second`);
      }
      [this.#bytes, this.#waited] = [0, 0];
    }
    this.signal.throwIfAborted();
  }

  #end(code: string, detail: string): void {
    const message = `Cannot continue: ${detail}; run it again to continue`;
    this.#stop.abort(new DownloadError(code, message, { passing: true }));
  }

  /** Stops the time. */
  [Symbol.dispose](): void {
    this.pause();
  }
}
