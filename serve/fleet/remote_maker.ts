import { Queue, QueueEvents, type Redis } from "../../deps/bullmq.ts";
import { FileError, InputError, quote } from "../../engine/mod.ts";
import { readPngText } from "../../model/image/png.ts";
import { BusyError } from "../jobs/busy_error.ts";
import type { Job, Made, Maker, MakerState, ModelCard, Watch } from "../jobs/job.ts";
import type { Store } from "../stores/store.ts";
import { readCard } from "./card.ts";
import { LAST_WORDS, within } from "./connect.ts";
import { readPixels, scaleOf } from "./previews.ts";
import {
  cancelChannel,
  failureOf,
  jobId,
  namesOf,
  type Outcome,
  QUEUE,
  type QueuedJob,
  queueId,
  type Report,
} from "./protocol.ts";

/** How images are made by the workers of a queue. */
export interface RemoteMakerOptions {
  /** The name of the queue. */
  readonly queue?: string;
  /** The most jobs of this front that wait or run; 64 if absent. */
  readonly limit?: number;
  /** Milliseconds between looks at jobs whose end may have been missed; 5,000 if absent. */
  readonly look?: number;
  /** Milliseconds before a second try, twice as long before the third; 1,000 if absent. */
  readonly pause?: number;
}

/** Times that a job is tried that failed, though nothing is wrong with it. */
const ATTEMPTS = 3;
/** How long the queue remembers: an hour those that were made, a week those that failed. */
const KEEP = {
  removeOnComplete: { age: 3600, count: 10_000 },
  removeOnFail: { age: 7 * 24 * 3600, count: 10_000 },
} as const;
/** Events that Redis keeps for fronts that are late. */
const EVENTS = 1000;

/** A job that somebody waits for. */
interface Pending {
  readonly job: Job;
  readonly watch: Watch;
  readonly ended: PromiseWithResolvers<Made>;
  /** Whether it is in the queue, so that the queue knows how it ends. */
  sent: boolean;
  active: boolean;
  /** Whether its result is being read. */
  taken: boolean;
  /** The reports that were passed on, one after the other. */
  shown: Promise<void>;
}

/** Makes images by the workers of a queue, and finds them in the store that they share. */
export class RemoteMaker implements Maker {
  readonly card: Promise<ModelCard>;
  readonly #queue: Queue<QueuedJob, Outcome>;
  readonly #listener: Redis;
  readonly #listening: Promise<void>;
  readonly #pending: Map<string, Pending> = new Map();
  readonly #opened = Promise.withResolvers<ModelCard>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #cancels: Set<Promise<void>> = new Set();
  #looking = false;
  #closing = false;
  #hasWorkers = false;

  /** Begins to listen. The connection, of {@link connect}, is closed with the maker. */
  constructor(
    private readonly redis: Redis,
    private readonly store: Store,
    private readonly options: RemoteMakerOptions = {},
  ) {
    const { queue = QUEUE, look = 5000, pause = 1000 } = options;
    this.card = this.#opened.promise;
    this.card.catch(() => {});
    this.#queue = new Queue(queue, {
      connection: redis,
      defaultJobOptions: {
        attempts: ATTEMPTS,
        backoff: { type: "exponential", delay: pause },
        ...KEEP,
      },
      streams: { events: { maxLen: EVENTS } },
    });
    this.#listener = redis.duplicate();
    // the first connection tells of what happens to all
    this.#listener.on("error", () => {});
    this.#queue.on("error", () => {});
    this.#listening = this.#listen(queue);
    this.#listening.catch(() => {});
    this.#timer = setInterval(() => this.#look(), look);
    this.#look();
  }

  /** Counts the jobs of this front; ready while a worker lives. */
  state(): MakerState {
    const jobs = [...this.#pending.values()];
    const running = jobs.filter(({ active }) => active).length;
    const ready = this.#hasWorkers && !this.#closing && this.redis.status === "ready";
    return { ready, queued: jobs.length - running, running, gpuBytes: 0 };
  }

  /** @inheritdoc */
  async make(job: Job, watch: Watch = {}): Promise<Made> {
    const { signal } = watch;
    signal?.throwIfAborted();
    const { limit = 64 } = this.options;
    const { size } = this.#pending;
    if (this.#closing || size >= limit) throw new BusyError(size, Math.max(1, Math.ceil(size / 8)));
    if (this.#pending.has(job.id)) {
      throw new InputError("same-id", `Cannot make ${quote(job.id)} twice at the same time`);
    }
    const ended = Promise.withResolvers<Made>();
    const pending: Pending = {
      job,
      watch,
      ended,
      sent: false,
      active: false,
      taken: false,
      shown: Promise.resolve(),
    };
    const abort = () => {
      ended.reject(signal?.reason);
      this.#cancel(job.id);
    };
    signal?.addEventListener("abort", abort);
    this.#pending.set(job.id, pending);
    this.#send(pending).catch(ended.reject);
    try {
      return await ended.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#pending.delete(job.id);
    }
  }

  /** @inheritdoc */
  async close(how?: "at once"): Promise<void> {
    this.#closing = true;
    const closed = new DOMException("The front was closed", "AbortError");
    const pending = [...this.#pending.values()];
    if (how) {
      for (const { job, ended } of pending) {
        ended.reject(closed);
        this.#cancel(job.id);
      }
    }
    await Promise.allSettled(pending.map(({ ended }) => ended.promise));
    clearInterval(this.#timer);
    this.#opened.reject(closed);
    // a Redis that is away is not waited for
    await within(LAST_WORDS, Promise.all(this.#cancels));
    this.#listener.disconnect();
    this.redis.disconnect();
  }

  /** Hears of all that happens to jobs from now on. */
  async #listen(queue: string): Promise<void> {
    const [seconds, micros] = await this.redis.time();
    const events = new QueueEvents(queue, {
      connection: this.#listener,
      lastEventId: `${Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)}-0`,
    });
    events.on("error", () => {});
    events.on("active", ({ jobId }) => {
      const pending = this.#of(jobId);
      if (pending) pending.active = true;
    });
    events.on("progress", ({ jobId, data }) => this.#show(jobId, data as unknown as Report));
    events.on("completed", ({ jobId, returnvalue }) => {
      const pending = this.#of(jobId);
      if (pending) this.#complete(pending, returnvalue as unknown as Outcome);
    });
    events.on("failed", ({ jobId, failedReason }) => {
      this.#of(jobId)?.ended.reject(failureOf(failedReason));
    });
  }

  #of(id: string): Pending | undefined {
    return this.#pending.get(jobId(id));
  }

  /** Puts a job in the queue, unless it is there; what ended before is taken, or made again. */
  async #send(pending: Pending): Promise<void> {
    const { job, watch } = pending;
    const id = queueId(job.id);
    await this.#listening;
    const known = await this.#queue.getJob(id);
    const state = await known?.getState();
    if (known && state === "completed" && await this.#isKept(job.id, known.returnvalue)) {
      return await this.#complete(pending, known.returnvalue);
    }
    if (known && (state === "completed" || state === "failed")) await known.remove();
    const reporting = watch.previews ? "previews" : watch.onScale ? "scales" : "nothing";
    await this.#queue.add("image", { job, reporting }, { jobId: id });
    pending.sent = true;
    if (watch.signal?.aborted) this.#cancel(job.id);
  }

  async #isKept(id: string, outcome: Outcome): Promise<boolean> {
    return !("cancelled" in outcome) && await this.store.has(namesOf(id).png);
  }

  #cancel(id: string): void {
    const cancel = this.#takeBack(id).catch(() => {}).finally(() => this.#cancels.delete(cancel));
    this.#cancels.add(cancel);
  }

  /** Takes a job out of the queue, or from the worker that has it. */
  async #takeBack(id: string): Promise<void> {
    const queued = await this.#queue.getJob(queueId(id));
    if (!queued) return;
    try {
      await queued.remove();
    } catch {
      // a worker has it; another one may get it if that one dies
      await queued.updateData({ ...queued.data, cancelled: true });
      await this.redis.publish(cancelChannel(this.options.queue ?? QUEUE), queueId(id));
    }
  }

  #show(id: string, report: Report): void {
    const pending = this.#of(id);
    if (!pending) return;
    pending.active = true;
    const { onScale, signal } = pending.watch;
    pending.shown = pending.shown.then(async () => {
      const done = await scaleOf(report);
      if (!signal?.aborted) onScale?.(done);
    }).catch(() => {});
  }

  async #complete(pending: Pending, outcome: Outcome): Promise<void> {
    const { job, ended } = pending;
    if (pending.taken) return;
    pending.taken = true;
    try {
      if ("cancelled" in outcome) {
        // somebody had cancelled what is wanted now
        await this.#send(pending);
        pending.taken = false;
        return;
      }
      const { png, bits } = namesOf(job.id);
      const files = await Promise.all([png, bits].map((name) => this.store.get(name)));
      const [image, bitsFile] = files;
      if (!image || !bitsFile) {
        const message = `Cannot find ${quote(png)}, which a worker has made: it keeps its images ` +
          "elsewhere; give all the same store";
        throw new FileError("no-result", message);
      }
      const { parameters = "" } = readPngText(image, png);
      await pending.shown;
      ended.resolve({ ...await readPixels(image, png), parameters, bits: bitsFile, ...outcome });
    } catch (error) {
      ended.reject(error);
    }
  }

  /** Looks whether there are workers, and how jobs ended whose events were missed. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const card = await readCard(this.redis, this.options.queue ?? QUEUE);
      this.#hasWorkers = card !== null;
      if (card) this.#opened.resolve(card);
      for (const pending of [...this.#pending.values()]) {
        if (pending.sent) await this.#lookAt(pending);
      }
    } catch {
      // Redis is away: the next look finds out
    } finally {
      this.#looking = false;
    }
  }

  async #lookAt(pending: Pending): Promise<void> {
    const id = queueId(pending.job.id);
    const state = await this.#queue.getJobState(id);
    pending.active = state === "active";
    // a Redis that was started anew has forgotten it
    if (state === "unknown") return await this.#send(pending);
    if (state !== "completed" && state !== "failed") return;
    const { returnvalue, failedReason = "" } = await this.#queue.getJob(id) ?? {};
    if (returnvalue) await this.#complete(pending, returnvalue);
    else if (state === "failed") pending.ended.reject(failureOf(failedReason));
  }
}
