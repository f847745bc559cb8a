import type { Redis } from "../../deps/bullmq.ts";
import { FileError, InputError, quote } from "../../engine/mod.ts";
import { readPngText } from "../../model/image/png.ts";
import { BusyError } from "../jobs/busy_error.ts";
import { counted } from "../jobs/counted.ts";
import type { Job, Made, Maker, MakerEvents, MakerState, ModelCard, Watch } from "../jobs/job.ts";
import { MOST_WAITING } from "../jobs/lineup.ts";
import type { Store } from "../stores/store.ts";
import { readCard } from "./card.ts";
import { JobQueue, type Standing } from "./job_queue.ts";
import { readPixels, scaleOf } from "./previews.ts";
import { namesOf, type Outcome, QUEUE, readOutcome, type Report } from "./protocol.ts";

/** How images are made by the workers of a queue. */
export interface RemoteMakerOptions {
  /** The name of the queue. */
  readonly queue?: string;
  /** The most jobs of this front that wait or run; {@link MOST_WAITING} if absent. */
  readonly limit?: number;
  /** Milliseconds between looks at jobs whose end may have been missed; 5,000 if absent. */
  readonly look?: number;
  /** Milliseconds before a second try, twice as long before the third; 1,000 if absent. */
  readonly pause?: number;
  /** What is called for metrics: how jobs end, since workers alone know of batches. */
  readonly events?: Pick<MakerEvents, "onEnd">;
}

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
  readonly #queue: JobQueue;
  readonly #pending: Map<string, Pending> = new Map();
  readonly #opened = Promise.withResolvers<ModelCard>();
  readonly #timer: ReturnType<typeof setInterval>;
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
    this.#queue = new JobQueue(redis, queue, pause, {
      onReport: (id, report) => this.#show(id, report),
      onStanding: (id, standing) => {
        const pending = this.#pending.get(id);
        if (pending) this.#follow(pending, standing);
      },
    });
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
  make(job: Job, watch: Watch = {}): Promise<Made> {
    return counted(this.#make(job, watch), watch, this.options.events ?? {});
  }

  async #make(job: Job, watch: Watch): Promise<Made> {
    const { signal } = watch;
    signal?.throwIfAborted();
    const { limit = MOST_WAITING } = this.options;
    const { size } = this.#pending;
    if (this.#closing || size >= limit) throw new BusyError(size, Math.max(1, Math.ceil(size / 8)));
    if (this.#pending.has(job.id)) {
      throw new InputError("same-id", `Cannot make ${quote(job.id)} twice at the same time`);
    }
    const ended = Promise.withResolvers<Made>();
    const state = { sent: false, active: false, taken: false, shown: Promise.resolve() };
    const pending: Pending = { job, watch, ended, ...state };
    const abort = () => this.#giveUp(pending, signal?.reason);
    signal?.addEventListener("abort", abort);
    this.#pending.set(job.id, pending);
    this.#begin(pending).catch(ended.reject);
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
    if (how) { for (const each of pending) this.#giveUp(each, closed); }
    await Promise.allSettled(pending.map(({ ended }) => ended.promise));
    clearInterval(this.#timer);
    this.#opened.reject(closed);
    await this.#queue.close();
  }

  #giveUp({ job, ended }: Pending, reason: unknown): void {
    ended.reject(reason);
    this.#queue.cancel(job.id);
  }

  /** Takes a result that is there already, or sends the job. */
  async #begin(pending: Pending): Promise<void> {
    const { id } = pending.job;
    const standing = await this.#queue.look(id);
    if (standing.is === "completed" && await this.store.has(namesOf(id).png)) {
      await this.#follow(pending, standing);
    } else await this.#send(pending);
  }

  async #send(pending: Pending): Promise<void> {
    const { job, watch } = pending;
    const reporting = watch.previews ? "previews" : watch.onScale ? "scales" : "nothing";
    await this.#queue.add(job, reporting);
    pending.sent = true;
    // whoever waited has left in the meantime
    if (this.#pending.get(job.id) !== pending) this.#queue.cancel(job.id);
  }

  #show(id: string, report: Report): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    pending.active = true;
    const { onScale, signal } = pending.watch;
    pending.shown = pending.shown.then(async () => {
      const done = await scaleOf(report);
      if (!signal?.aborted) onScale?.(done);
    }).catch(() => {});
  }

  /** Does what follows from how a job stands. */
  async #follow(pending: Pending, standing: Standing): Promise<void> {
    pending.active = standing.is === "active";
    if (standing.is === "failed") return pending.ended.reject(standing.error);
    if (standing.is !== "completed" || pending.taken) return;
    try {
      const outcome = readOutcome(standing.outcome);
      // somebody had cancelled what is wanted now
      if ("cancelled" in outcome) return await this.#send(pending);
      pending.taken = true;
      pending.ended.resolve(await this.#collect(pending, outcome));
    } catch (error) {
      pending.ended.reject(error);
    }
  }

  async #collect(
    pending: Pending,
    outcome: Exclude<Outcome, { cancelled: true }>,
  ): Promise<Made> {
    const { png, bits: bitsName } = namesOf(pending.job.id);
    const [image, bits] = await Promise.all([png, bitsName].map((name) => this.store.get(name)));
    if (!image || !bits) {
      throw new FileError(
        "no-result",
        `Cannot find ${quote(png)}, which a worker has made: it keeps its images elsewhere; give ` +
          "all the same store",
      );
    }
    const { parameters = "" } = readPngText(image, png);
    const pixels = await readPixels(image, png);
    await pending.shown;
    return { ...pixels, parameters, bits, ...outcome };
  }

  /** What the workers can do; null if there are none, or none of this version. */
  async #readCard(): Promise<ModelCard | null> {
    try {
      return await readCard(this.redis, this.options.queue ?? QUEUE);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.#opened.reject(error);
      return null;
    }
  }

  /** Looks whether there are workers, and how jobs ended whose events were missed. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const card = await this.#readCard();
      this.#hasWorkers = card !== null;
      if (card) this.#opened.resolve(card);
      for (const pending of [...this.#pending.values()]) {
        if (!pending.sent) continue;
        const standing = await this.#queue.look(pending.job.id);
        // a Redis that was started anew has forgotten it
        if (standing.is === "absent") await this.#send(pending);
        else await this.#follow(pending, standing);
      }
    } catch {
      // Redis is away: the next look finds out
    } finally {
      this.#looking = false;
    }
  }
}
