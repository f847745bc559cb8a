/** A run that has its turn, or waits for it. */
class Turn {
  readonly #granted = Promise.withResolvers<void>();
  #steps: AsyncGenerator<unknown, unknown, void> | null = null;
  #stopped: { readonly reason: unknown } | null = null;

  constructor(private readonly leave: (turn: Turn) => void) {
    this.#granted.promise.catch(() => {}); // a run that was closed before it began to wait
  }

  /** Settles when the turn comes, or at a stop before. */
  get granted(): Promise<void> {
    return this.#granted.promise;
  }

  /** Lets the run begin. */
  grant(): void {
    this.#granted.resolve();
  }

  /** Throws the reason of a stop. */
  check(): void {
    if (this.#stopped) throw this.#stopped.reason;
  }

  /** Says which steps a stop ends. */
  begin(steps: AsyncGenerator<unknown, unknown, void>): void {
    this.#steps = steps;
  }

  /** Ends a run that waits at once, and one that works after its present step, even if nobody asks for the next. */
  stop(reason: unknown): void {
    if (this.#stopped) return;
    this.#stopped = { reason };
    this.#granted.reject(reason);
    this.end().catch(() => {}); // whoever asks for the next step hears the reason
  }

  /** Lets the steps free what they hold, then gives the turn back. */
  async end(): Promise<void> {
    try {
      await this.#steps?.return(undefined);
    } finally {
      this.leave(this);
    }
  }
}

/**
 * Lets one run work at a time; the others wait in the order in which they began.
 *
 * A run gives its turn back when it ends, and when it is aborted, even if it is a stream that nobody continues.
 */
export class Turns {
  /** The run that works, then those that wait. */
  readonly #queue = new Set<Turn>();
  #closed: { readonly reason: unknown } | null = null;

  /**
   * Runs the steps that `begin` makes, once earlier runs have ended.
   *
   * @throws The reason of `signal`, as soon as it is aborted; that of {@link Turns.close}.
   */
  async *run<Y, R>(
    begin: () => AsyncGenerator<Y, R, void>,
    signal?: AbortSignal,
  ): AsyncGenerator<Y, R, void> {
    if (this.#closed) throw this.#closed.reason;
    signal?.throwIfAborted();
    const turn = new Turn((turn) => this.#leave(turn));
    const abort = () => turn.stop(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#queue.add(turn);
    if (this.#queue.size === 1) turn.grant();
    try {
      await turn.granted;
      turn.check();
      const steps = begin();
      turn.begin(steps);
      for (;;) {
        const next = await steps.next();
        turn.check();
        if (next.done) return next.value;
        yield next.value;
        turn.check();
      }
    } catch (error) {
      turn.check(); // steps that are stopped may fail in other ways
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
      await turn.end();
    }
  }

  /** Stops all runs, those that wait included, and refuses later ones. */
  close(reason: unknown): void {
    this.#closed ??= { reason };
    for (const turn of this.#queue) turn.stop(reason);
  }

  #leave(turn: Turn): void {
    if (!this.#queue.delete(turn)) return;
    const [next] = this.#queue;
    next?.grant();
  }
}
