/** Reads and writes image files, each in a thread of its own: what clients send keeps no answer waiting. */

import { BitwiseError, orAbort, receiveError } from "../../../engine/mod.ts";
import type { Answers, Order, Reply } from "./messages.ts";

/** An order, and who waits for its answer. */
interface Asked {
  readonly order: Order;
  resolve(answer: Answers[keyof Answers]): void;
  reject(error: unknown): void;
}

/** The threads. */
export class Pictures {
  readonly #reader = new Thread();
  readonly #writer = new Thread();

  /** Files that wait to be written. */
  get waiting(): number {
    return this.#writer.waiting;
  }

  /**
   * Has an order done, after those before it.
   *
   * @param signal Takes it out of the line, or ends it.
   * @throws {FileError} An image is wrong.
   * @throws {BitwiseError} `worker-failed`: the thread ended.
   * @throws The reason of the signal.
   */
  ask<Kind extends Order["kind"]>(
    order: Order & { kind: Kind },
    signal?: AbortSignal,
  ): Promise<Answers[Kind]> {
    const thread = order.kind === "encode" ? this.#writer : this.#reader;
    return thread.ask(order, signal) as Promise<Answers[Kind]>;
  }

  /** Ends the threads. What waits fails. */
  close(): void {
    for (const thread of [this.#reader, this.#writer]) thread.close();
  }
}

/** A thread; it starts with the first order, and again if it failed. It hears of an order when it is its turn. */
class Thread {
  #worker: Worker | null = null;
  #running: Asked | null = null;
  readonly #line: Asked[] = [];

  get waiting(): number {
    return this.#line.length + (this.#running ? 1 : 0);
  }

  async ask(order: Order, signal?: AbortSignal): Promise<Answers[keyof Answers]> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Answers[keyof Answers]>();
    const asked = { order, resolve, reject };
    this.#line.push(asked);
    this.#next();
    try {
      return await orAbort(signal, promise);
    } finally {
      this.#leave(asked);
    }
  }

  close(): void {
    const all = this.#line.splice(0);
    if (this.#running) all.unshift(this.#running);
    this.#end();
    for (const { reject } of all) reject(ended());
  }

  /** Hands over the first in line, if the thread is free. */
  #next(): void {
    while (!this.#running) {
      const asked = this.#line.shift();
      if (!asked) return;
      try {
        this.#worker ??= this.#start();
        this.#worker.postMessage(asked.order);
        this.#running = asked;
      } catch (error) {
        asked.reject(error);
      }
    }
  }

  /** Forgets an order that nobody waits for. */
  #leave(asked: Asked): void {
    const at = this.#line.indexOf(asked);
    if (at >= 0) this.#line.splice(at, 1);
    // what was sent may take long to read, what was made is soon written
    if (asked !== this.#running || asked.order.kind === "encode") return;
    this.#end();
    this.#next();
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#running = null;
  }

  #start(): Worker {
    const worker = new Worker(new URL("./picture_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (worker !== this.#worker) return;
      const asked = this.#running;
      this.#running = null;
      if ("answer" in data) asked?.resolve(data.answer);
      else asked?.reject(receiveError(data.error));
      this.#next();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker !== this.#worker) return;
      const asked = this.#running;
      this.#end();
      asked?.reject(ended());
      this.#next();
    };
    return worker;
  }
}

function ended(): BitwiseError {
  return new BitwiseError("worker-failed", "Cannot read or write an image: its thread ended");
}
