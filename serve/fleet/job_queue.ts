import { Queue, QueueEvents, type Redis } from "../../deps/bullmq.ts";
import { within } from "../../engine/mod.ts";
import type { Job } from "../jobs/job.ts";
import { LAST_WORDS } from "./connect.ts";
import {
  cancelChannel,
  failureOf,
  jobId,
  type Outcome,
  type QueuedJob,
  queueId,
  type Report,
  type Reporting,
} from "./protocol.ts";

/** Times that a job is tried that failed, though nothing is wrong with it. */
const ATTEMPTS = 3;
/** How long the queue remembers: an hour those that were made, a week those that failed. */
const KEEP = {
  removeOnComplete: { age: 3600, count: 10_000 },
  removeOnFail: { age: 7 * 24 * 3600, count: 10_000 },
} as const;
/** Events that Redis keeps for fronts that are late. */
const EVENTS = 1000;

/** How a job stands: `absent` if the queue does not know it. */
export type Standing =
  | { readonly is: "absent" | "waiting" | "active" }
  | { readonly is: "completed"; readonly outcome: unknown }
  | { readonly is: "failed"; readonly error: Error };

/** What is heard of jobs, those of other fronts included. */
export interface JobEvents {
  onReport(id: string, report: Report): void;
  onStanding(id: string, standing: Standing): void;
}

/** How a front gives jobs to a queue of BullMQ, and hears of them. */
export class JobQueue {
  readonly #queue: Queue<QueuedJob, Outcome>;
  readonly #listener: Redis;
  readonly #listening: Promise<void>;
  #events: QueueEvents | null = null;
  /** Jobs that are being taken back. */
  readonly #cancels: Set<Promise<void>> = new Set();

  /**
   * Begins to listen.
   *
   * @param pause Milliseconds before a second try of a job, twice as long before the third.
   */
  constructor(
    private readonly redis: Redis,
    private readonly name: string,
    pause: number,
    events: JobEvents,
  ) {
    this.#queue = new Queue(name, {
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
    this.#listening = this.#listen(events);
    this.#listening.catch(() => {});
  }

  /** Hears of all that happens from now on. */
  async #listen({ onReport, onStanding }: JobEvents): Promise<void> {
    const [seconds, micros] = await this.redis.time();
    const events = new QueueEvents(this.name, {
      connection: this.#listener,
      lastEventId: `${Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)}-0`,
    });
    this.#events = events;
    events.on("error", () => {});
    events.on("progress", (event) => onReport(jobId(event.jobId), event.data as unknown as Report));
    events.on("active", (event) => onStanding(jobId(event.jobId), { is: "active" }));
    events.on("completed", (event) => {
      onStanding(jobId(event.jobId), { is: "completed", outcome: event.returnvalue });
    });
    events.on("failed", (event) => {
      onStanding(jobId(event.jobId), { is: "failed", error: failureOf(event.failedReason) });
    });
  }

  /** Puts a job in the queue, unless it waits or runs there. What ended before is forgotten. */
  async add(job: Job, reporting: Reporting): Promise<void> {
    await this.#listening;
    const id = queueId(job.id);
    const state = await this.#queue.getJobState(id);
    if (state === "completed" || state === "failed") await this.#queue.remove(id);
    await this.#queue.add("image", { job, reporting }, { jobId: id });
  }

  /** Tells how a job stands. */
  async look(id: string): Promise<Standing> {
    const state = await this.#queue.getJobState(queueId(id));
    if (state === "unknown") return { is: "absent" };
    if (state === "active") return { is: "active" };
    if (state !== "completed" && state !== "failed") return { is: "waiting" };
    const { returnvalue, failedReason = "" } = await this.#queue.getJob(queueId(id)) ?? {};
    if (state === "failed") return { is: "failed", error: failureOf(failedReason) };
    return returnvalue ? { is: "completed", outcome: returnvalue } : { is: "absent" };
  }

  /** Takes a job out of the queue, or from the worker that has it; {@link JobQueue.close} waits for it. */
  cancel(id: string): void {
    const cancel = this.#takeBack(queueId(id)).catch(() => {})
      .finally(() => this.#cancels.delete(cancel));
    this.#cancels.add(cancel);
  }

  async #takeBack(id: string): Promise<void> {
    const queued = await this.#queue.getJob(id);
    if (!queued) return;
    try {
      await queued.remove();
    } catch {
      // a worker has it; another one may get it if that one dies
      await queued.updateData({ ...queued.data, cancelled: true });
      await this.redis.publish(cancelChannel(this.name), id);
    }
  }

  /** Leaves; a Redis that is away is not waited for. */
  async close(): Promise<void> {
    const closed = Promise.all(this.#cancels).then(() => this.#events?.close())
      .then(() => this.#queue.close()).catch(() => {});
    await within(LAST_WORDS, closed);
    this.#listener.disconnect();
    this.redis.disconnect();
  }
}
