import { FileError, InputError, mayUse, quote, receiveError } from "../../../../engine/mod.ts";
import { decode, type Decoded, type DecodeJob } from "./decode.ts";
import type { Answer } from "./messages.ts";

/** Decodes image files. */
export interface Decoder {
  /** Does what {@link decode} does. */
  decode(job: DecodeJob): Promise<Decoded>;
  /** Ends it. What is under way is rejected. */
  dispose(): void;
}

/** A job that waits, or that a Worker has. */
interface Pending {
  readonly job: DecodeJob;
  readonly resolve: (decoded: Decoded | Promise<Decoded>) => void;
  readonly reject: (error: unknown) => void;
}

/** Jobs that a Worker has at a time: one that it does, and one that it goes on with. */
const DEEP = 2;
/** The most Workers that are started unless another number is asked for. */
const MOST_WORKERS = 8;

/** Decodes in this thread one image after the other, between other tasks of the event loop. */
class InProcessDecoder implements Decoder {
  #last: Promise<unknown> = Promise.resolve();

  decode(job: DecodeJob): Promise<Decoded> {
    const mine = this.#last.then(() => decode(job));
    this.#last = mine.catch(() => {});
    return mine;
  }

  dispose(): void {}
}

/** How many Workers this machine has cores for, one being left for the main thread. */
export function usualWorkers(): number {
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
  return Math.min(MOST_WORKERS, Math.max(1, cores - 1));
}

/**
 * Starts Workers that decode. Deno lets a Worker load its code only where reading it is allowed: without
 * `--allow-read` for the folder of this library (or `--allow-import` for its host, if it is imported from the web), and
 * where there are no Workers, images are decoded in this thread.
 *
 * @param count Workers; 0 decodes in this thread.
 * @param onWarning Receives one line if no Worker can start.
 */
export async function openDecoder(
  count: number,
  onWarning: (line: string) => void,
): Promise<Decoder> {
  if (count === 0) return new InProcessDecoder();
  const withoutWorkers = (why: string): Decoder => {
    onWarning(`Images are decoded in the main thread: ${why}`);
    return new InProcessDecoder();
  };
  const library = new URL("../../../../", import.meta.url);
  // asked first, since Deno reports a Worker that it refuses on stderr, whoever handles the error
  if (library.protocol === "file:" && !mayUse({ name: "read", path: library })) {
    return withoutWorkers("a Worker may not read the code of this library");
  }
  const workers: Worker[] = [];
  try {
    const starts = Array.from({ length: count }, () => {
      const url = new URL("./decode_worker.ts", import.meta.url);
      const worker = new Worker(url, { type: "module" });
      workers.push(worker);
      return started(worker);
    });
    await Promise.all(starts);
  } catch (error) {
    for (const worker of workers) worker.terminate();
    const why = error instanceof Error ? error.message.split("\n")[0]! : `${error}`;
    return withoutWorkers(`no Worker can start: ${why}`);
  }
  return new WorkerDecoder(workers);
}

function started(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}

/** Shares jobs out among Workers that have started. */
export class WorkerDecoder implements Decoder {
  readonly #waiting: Pending[] = [];
  readonly #busy: Map<Worker, Map<number, Pending>>;
  #id = 0;

  constructor(workers: readonly Worker[]) {
    this.#busy = new Map(workers.map((worker) => [worker, new Map()]));
    for (const worker of workers) {
      worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#receive(worker, data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.#lose(worker, event.message);
      };
    }
  }

  decode(job: DecodeJob): Promise<Decoded> {
    if (this.#busy.size === 0) return decode(job);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#distribute();
    });
  }

  #distribute(): void {
    for (let load = 0; load < DEEP; load++) {
      for (const [worker, jobs] of this.#busy) {
        const next = jobs.size <= load ? this.#waiting.shift() : undefined;
        if (!next) continue;
        jobs.set(this.#id, next);
        worker.postMessage({ id: this.#id++, job: next.job });
      }
    }
  }

  #receive(worker: Worker, answer: Answer): void {
    if (answer === "ready") return;
    const jobs = this.#busy.get(worker);
    const pending = jobs?.get(answer.id);
    jobs?.delete(answer.id);
    if ("decoded" in answer) pending?.resolve(answer.decoded);
    else pending?.reject(receiveError(answer.error));
    this.#distribute();
  }

  /** A Worker that fails outside of a job, for lack of memory for instance, is replaced by the others. */
  #lose(worker: Worker, why: string): void {
    const jobs = this.#busy.get(worker);
    this.#busy.delete(worker);
    worker.terminate();
    for (const { job, reject } of jobs?.values() ?? []) {
      reject(
        new FileError(
          "worker-failed",
          `Cannot decode ${quote(job.path)}: its Worker ended: ${why}`,
        ),
      );
    }
    if (this.#busy.size > 0) return this.#distribute();
    for (const { job, resolve } of this.#waiting.splice(0)) resolve(decode(job));
  }

  dispose(): void {
    const error = new InputError("disposed", "Cannot decode: the source of data was disposed");
    for (const [worker, jobs] of this.#busy) {
      worker.terminate();
      for (const { reject } of jobs.values()) reject(error);
    }
    this.#busy.clear();
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
