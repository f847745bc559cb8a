import {
  DelayedError,
  type Job as BullJob,
  type Redis,
  UnrecoverableError,
  Worker,
} from "../../deps/bullmq.ts";
import { DeviceError, FileError, InputError, within } from "../../engine/mod.ts";
import { encodePng } from "../../model/image/png.ts";
import type { Made, Maker } from "../jobs/job.ts";
import type { Store } from "../stores/store.ts";
import { publishCard } from "./card.ts";
import { LAST_WORDS } from "./connect.ts";
import { reportOf } from "./previews.ts";
import {
  cancelChannel,
  failureText,
  namesOf,
  type Outcome,
  QUEUE,
  type QueuedJob,
  readQueued,
} from "./protocol.ts";

/** How a worker takes jobs. */
export interface FleetWorkerOptions {
  /** The name of the queue. */
  readonly queue?: string;
  /** Jobs that are taken at once, so that some of them can share a batch; {@link JOBS} if absent. */
  readonly jobs?: number;
  /** Seconds after which the jobs of a dead worker return; 30 if absent. */
  readonly lock?: number;
  /** Called when a job ended. */
  readonly onEnd?: (id: string, how: "made" | "failed" | "cancelled", line?: string) => void;
  /** Called with what went wrong elsewhere, such as a lock that was lost. */
  readonly onWarning?: (line: string) => void;
}

/** Jobs that are taken at once where nothing is known of batches: twice one of 16. */
export const JOBS = 32;
/** Times that a dead worker's job returns before it is thought to be the cause. */
const MOST_DEATHS = 3;
/** Dead workers after which a job is made alone, so that the jobs beside it do not share the blame. */
const SUSPICIOUS = 2;
/** Milliseconds for which other jobs go back to the queue meanwhile. */
const GIVEN_BACK = 1000;
/** Batches in a row that lose the GPU before the worker gives up. */
const MOST_LOSSES = 3;

/** What BullMQ says of a job that another worker has got, or that Redis has forgotten. */
const LOST = /^(Missing (key|lock) for job|could not renew lock)/;
const LOST_LINE =
  "The queue has taken jobs back that were made here: Redis was away for too long, " +
  "or this process did not get its turn; they are made again where they are wanted";

/** Takes jobs of a queue, makes their images, and keeps them in a store. */
export class FleetWorker {
  readonly #worker: Worker<QueuedJob, Outcome>;
  readonly #broken = Promise.withResolvers<never>();
  #losses = 0;
  #lastWarning = "";
  #running = 0;
  /** Whether a job is made alone, or waits to be. */
  #alone = false;
  /** Who waits for the end of a job. */
  #waiting: (() => void)[] = [];

  private constructor(
    private readonly maker: Maker,
    private readonly store: Store,
    private readonly redis: Redis,
    private readonly canceller: Redis,
    private readonly unpublish: () => void,
    private readonly options: FleetWorkerOptions,
  ) {
    const { queue = QUEUE, jobs = JOBS, lock = 30, onWarning } = options;
    this.#broken.promise.catch(() => {});
    this.#worker = new Worker(queue, (job, token, signal) => this.#process(job, token!, signal!), {
      connection: redis,
      concurrency: jobs,
      lockDuration: lock * 1000,
      stalledInterval: lock * 1000,
      maxStalledCount: MOST_DEATHS,
      runRetryDelay: 1000,
    });
    this.#worker.on("error", (error) => {
      const line = LOST.test(error.message) ? LOST_LINE : error.message;
      // the connection tells of itself
      if (redis.status === "ready" && line !== this.#lastWarning) onWarning?.(line);
      this.#lastWarning = line;
    });
    this.#worker.on("failed", (job, error) => {
      const id = job?.id ?? "a job";
      if (job?.finishedOn) options.onEnd?.(id, "failed", error.message);
      else onWarning?.(`${id} is tried again: ${error.message}`);
    });
    canceller.on("message", (_channel, id) => this.#worker.cancelJob(id));
  }

  /**
   * Begins to take jobs once the maker is ready.
   *
   * @param redis A connection of {@link connect}, which stays the caller's.
   * @throws {InputError} `other-model`
   * @throws {FileError} The store cannot be written.
   */
  static async start(
    maker: Maker,
    store: Store,
    redis: Redis,
    options: FleetWorkerOptions = {},
  ): Promise<FleetWorker> {
    const { queue = QUEUE } = options;
    const card = await maker.card;
    // a store that cannot be written is refused before any image is made for it
    const bytes = new TextEncoder().encode(JSON.stringify(card));
    await store.put("worker.json", bytes, "application/json");
    const unpublish = await publishCard(redis, queue, card);
    const canceller = redis.duplicate();
    canceller.on("error", () => {}); // the first connection tells of it
    await canceller.subscribe(cancelChannel(queue));
    return new FleetWorker(maker, store, redis, canceller, unpublish, options);
  }

  /** Rejects if the worker cannot go on: its GPU failed again and again. */
  get broken(): Promise<never> {
    return this.#broken.promise;
  }

  /** Takes no more jobs, ends those that run, and leaves. The maker, too, stays the caller's. */
  async close(): Promise<void> {
    this.unpublish();
    const closed = this.#worker.close().catch(() => {});
    await this.#untilRunning(0);
    // a Redis that stays away hears from the next worker that takes its jobs
    await within(LAST_WORDS, closed);
    this.canceller.disconnect();
  }

  async #process(job: BullJob<QueuedJob>, token: string, signal: AbortSignal): Promise<Outcome> {
    if (this.#alone) {
      await job.moveToDelayed(Date.now() + GIVEN_BACK, token);
      throw new DelayedError();
    }
    const alone = job.stalledCounter >= SUSPICIOUS;
    this.#alone = alone;
    this.#running++;
    try {
      if (alone) await this.#untilRunning(1);
      return await this.#make(job, signal);
    } finally {
      if (alone) this.#alone = false;
      this.#running--;
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Waits until no more jobs run. */
  async #untilRunning(most: number): Promise<void> {
    while (this.#running > most) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #make(queued: BullJob<QueuedJob>, signal: AbortSignal): Promise<Outcome> {
    const { id, made, reports } = await this.#image(queued, signal).catch((error) => {
      if (signal.aborted) return { id: queued.id!, made: null, reports: null };
      throw this.#failure(error);
    });
    if (!made) {
      this.options.onEnd?.(id, "cancelled");
      return { cancelled: true };
    }
    this.#losses = 0;
    await this.#keep(id, made).catch((error) => {
      throw new Error(failureText(error), { cause: error });
    });
    await reports;
    this.options.onEnd?.(id, "made");
    const { warnings, seconds, batch } = made;
    return { warnings, seconds, batch };
  }

  /** Makes an image, unless nobody waits for it; reports its scales in their order. */
  async #image(queued: BullJob<QueuedJob>, signal: AbortSignal) {
    const { job, reporting, cancelled } = readQueued(queued.data);
    let reports: Promise<unknown> = Promise.resolve();
    if (cancelled) return { id: job.id, made: null, reports };
    const made = await this.maker.make(job, {
      signal,
      previews: reporting === "previews",
      onScale: reporting === "nothing" ? undefined : (done) => {
        // a report that is lost spoils no image
        reports = reports.then(() => reportOf(done)).then((report) => queued.updateProgress(report))
          .catch(() => {});
      },
    });
    return { id: job.id, made, reports };
  }

  async #keep(id: string, { rgba, width, height, parameters, bits }: Made): Promise<void> {
    const { png, bits: bitsName } = namesOf(id);
    await this.store.put(bitsName, bits, "application/octet-stream");
    await this.store.put(png, encodePng(rgba, width, height, { parameters }), "image/png");
  }

  /** The error that BullMQ hears: one that it does not try again, if the job is wrong. */
  #failure(error: unknown): Error {
    if (error instanceof DeviceError && ++this.#losses >= MOST_LOSSES) this.#broken.reject(error);
    const wrong = error instanceof InputError || error instanceof FileError;
    const Class = wrong ? UnrecoverableError : Error;
    return new Class(failureText(error));
  }
}
