import { DeviceError, InputError, mayUse, receiveError } from "../../engine/mod.ts";
import type { ModelCard } from "../jobs/job.ts";
import type { Answers, BatchOrder, BatchScale, Order, Reply, ThreadOptions } from "./messages.ts";

/** The answer that is waited for. */
interface Pending {
  resolve(answer: Answers[Order["kind"]]): void;
  reject(error: unknown): void;
  onScale?(scale: BatchScale): void;
}

/** How a thread is started. */
export interface StartOptions {
  /** Its code; tests and browsers give another. */
  readonly module?: URL;
  /** Ends it while it loads. */
  readonly signal?: AbortSignal;
}

/** A thread that holds a model, seen from the outside. It takes one order at a time. */
export class GpuThread {
  #pending: Pending | null = null;
  #ended: DeviceError | null = null;
  // a page that is not isolated from other origins has no shared memory
  readonly #cancel = new Int32Array(
    "SharedArrayBuffer" in globalThis ? new SharedArrayBuffer(4) : new ArrayBuffer(4),
  );
  /** Bytes that lived on its GPU at its last answer. */
  gpuBytes = 0;

  private constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      // a browser says nothing of a module that it cannot load
      const why = event.message?.split("\n")[0] ?? "its code cannot be loaded";
      this.#end(new DeviceError("thread-ended", `The thread of the GPU ended: ${why}`));
    };
  }

  /**
   * Starts a thread and loads a model in it.
   *
   * @throws {InputError} `no-worker`: it may not read the code of this library.
   * @throws {DeviceError} `thread-ended`: the signal was aborted, among others.
   * @throws As {@link InfinityModel.load}.
   */
  static async open(
    options: ThreadOptions,
    { module = new URL("./gpu_thread.ts", import.meta.url), signal }: StartOptions = {},
  ): Promise<{ readonly thread: GpuThread; readonly card: ModelCard }> {
    const library = new URL("../../", import.meta.url);
    // asked first, since Deno reports a Worker that it refuses on stderr, whoever handles the error
    if (library.protocol === "file:" && !mayUse({ name: "read", path: library })) {
      const message =
        "Cannot start the thread of the GPU: it may not read the code of this library";
      throw new InputError("no-worker", message);
    }
    const thread = new GpuThread(new Worker(module, { type: "module" }));
    const end = () => thread.terminate();
    signal?.addEventListener("abort", end);
    try {
      if (signal?.aborted) end();
      const card = await thread.#ask({ kind: "open", options, cancel: thread.#cancel });
      return { thread, card };
    } catch (error) {
      thread.terminate();
      throw error;
    } finally {
      signal?.removeEventListener("abort", end);
    }
  }

  /** The number of images with the settings of a batch, of those wanted, that make one batch. */
  fits(settings: BatchOrder["settings"], images: number): Promise<number> {
    return this.#ask({ kind: "fits", settings, images });
  }

  /** Makes a batch. @throws As {@link InfinityModel.generate}; anything, after {@link GpuThread.cancel}. */
  make(batch: BatchOrder, onScale: (scale: BatchScale) => void): Promise<Answers["batch"]> {
    Atomics.store(this.#cancel, 0, 0);
    return this.#ask({ kind: "batch", batch }, onScale);
  }

  /** Ends the batch that runs within one scale. */
  cancel(): void {
    Atomics.store(this.#cancel, 0, 1);
    if (this.#cancel.buffer instanceof ArrayBuffer) this.worker.postMessage({ kind: "cancel" });
  }

  /** Frees the GPU and ends the thread, after the order that it follows. */
  async close(): Promise<void> {
    await this.#ask({ kind: "close" }).catch(() => {});
    this.terminate();
  }

  /** Ends the thread at once. */
  terminate(): void {
    this.#end(new DeviceError("thread-ended", "The thread of the GPU was ended"));
  }

  #ask<const K extends Order["kind"]>(
    order: Extract<Order, { kind: K }>,
    onScale?: (scale: BatchScale) => void,
  ): Promise<Answers[K]> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#pending = { resolve: resolve as Pending["resolve"], reject, onScale };
      this.worker.postMessage(order);
    });
  }

  #receive(reply: Reply): void {
    if (reply.kind === "scale") return this.#pending?.onScale?.(reply.scale);
    const pending = this.#pending;
    this.#pending = null;
    this.gpuBytes = reply.gpuBytes;
    if (reply.kind === "answer") pending?.resolve(reply.answer);
    else pending?.reject(receiveError(reply.error));
  }

  #end(error: DeviceError): void {
    this.#ended ??= error;
    this.gpuBytes = 0;
    this.worker.terminate();
    this.#pending?.reject(error);
    this.#pending = null;
  }
}
