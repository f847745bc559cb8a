/** Server-sent events. */

/** Bytes that may wait for a slow reader before partial images are left out. */
const LAG = 8 * 2 ** 20;
/** Seconds between signs of life. */
const ALIVE_SECONDS = 15;

/** The body of an answer of events. */
export class EventStream {
  /** The body. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Resolves with the first event, or the end. */
  readonly begun: Promise<void>;
  readonly #begin: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #queue: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;
  #ended = false;
  #failed = false;
  #wake: () => void = () => {};

  /** @param onEnd Called when all was read, or nobody reads any longer. */
  constructor(private readonly onEnd: (how: "read" | "cancelled") => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    [this.begun, this.#begin] = [promise, resolve];
    this.#timer = setInterval(() => this.#push(": working\n\n"), ALIVE_SECONDS * 1000);
    this.body = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#stop("cancelled"),
    }, { highWaterMark: 0 });
  }

  /** Whether the reader is slow, so that what it can do without should not be sent. */
  get lags(): boolean {
    return this.#bytes > LAG;
  }

  /** Sends an event. */
  send(event: string, data: object): void {
    this.#push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    this.#begin();
  }

  /** Ends the events; later ones are dropped. */
  end(): void {
    this.#ended = true;
    this.#begin();
    this.#wake();
  }

  /** Ends the events with one, in place of those that were not read. Only the first failure counts. */
  fail(event: string, data: object): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#ended = false;
    this.#clear();
    this.send(event, data);
    this.end();
  }

  #clear(): void {
    this.#queue.length = 0;
    this.#bytes = 0;
  }

  #push(text: string): void {
    if (this.#ended) return;
    const bytes = new TextEncoder().encode(text);
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
    this.#wake();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#queue.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const next = this.#queue.shift();
    if (next) {
      this.#bytes -= next.length;
      controller.enqueue(next);
    } else {
      controller.close();
      this.#stop("read");
    }
  }

  #stop(how: "read" | "cancelled"): void {
    clearInterval(this.#timer);
    this.#clear();
    this.end();
    this.onEnd(how);
  }
}
