/** Ends work when its client hangs up, or when it takes too long. */
export class Deadline implements Disposable {
  /** Aborted with the reason. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  /**
   * Begins to count.
   *
   * @param seconds Seconds that the work may take.
   * @param other Aborts it too, such as a request's signal.
   */
  constructor(seconds: number, other?: AbortSignal) {
    const message = `Cannot finish: it took more than ${seconds} s`;
    this.#timer = setTimeout(
      () => this.abort(new DOMException(message, "TimeoutError")),
      seconds * 1000,
    );
    const signals = [this.#controller.signal, ...other ? [other] : []];
    this.signal = AbortSignal.any(signals);
  }

  /** Ends the work. */
  abort(reason: unknown = new DOMException("Nobody waits any longer", "AbortError")): void {
    this.#controller.abort(reason);
  }

  /** Stops counting. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
