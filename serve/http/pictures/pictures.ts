/** Reads and writes image files in a thread of its own. */

import { BitwiseError, receiveError } from "../../../engine/mod.ts";
import type { Answers, Order, Reply } from "./messages.ts";

interface Waiting {
  resolve(answer: Answers[keyof Answers]): void;
  reject(error: unknown): void;
}

/** The thread; it starts with the first order, and again if it failed. */
export class Pictures {
  #worker: Worker | null = null;
  #waiting: Waiting[] = [];

  /** Orders that wait for their answer. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Has an order done, after those before it.
   *
   * @throws {FileError} An image is wrong.
   * @throws {BitwiseError} `worker-failed`: the thread ended.
   */
  async ask<Kind extends Order["kind"]>(order: Order & { kind: Kind }): Promise<Answers[Kind]> {
    this.#worker ??= this.#start();
    this.#worker.postMessage(order);
    const answer = new Promise<Answers[keyof Answers]>((resolve, reject) =>
      this.#waiting.push({ resolve, reject })
    );
    return await answer as Answers[Kind];
  }

  /** Ends the thread. What waits fails. */
  close(): void {
    this.#worker?.terminate();
    this.#worker = null;
    const error = new BitwiseError(
      "worker-failed",
      "Cannot read or write an image: its thread ended",
    );
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #start(): Worker {
    const worker = new Worker(new URL("./picture_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const first = this.#waiting.shift();
      if ("answer" in data) first?.resolve(data.answer);
      else first?.reject(receiveError(data.error));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.close();
    };
    return worker;
  }
}
