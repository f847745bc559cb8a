import { BusyError } from "./busy_error.ts";
import type { Job, JobSettings, Made, Watch } from "./job.ts";

/** A job in line, or in the batch that runs. */
export interface Place {
  readonly job: Job;
  readonly watch: Watch;
  /** Whether it has ended, so that nobody waits any longer. */
  readonly ended: boolean;
  /** Ends it. What comes later changes nothing. */
  end(result: { readonly made: Made } | { readonly error: unknown }): void;
}

/** Jobs that wait, if nothing else is said. */
export const MOST_WAITING = 64;
/** Seconds that an image is thought to take before one was made. */
const FIRST_GUESS = 1;
/** How much the last image counts in the mean of seconds. */
const WEIGHT = 0.2;

/**
 * Jobs that wait for the GPU, first come, first served; those that can share the batch of the first one overtake the
 * others.
 */
export class Lineup {
  readonly #waiting: Place[] = [];
  #closed = false;
  #wake: (() => void) | null = null;
  #secondsPerImage = FIRST_GUESS;

  /** Takes at most `limit` jobs. */
  constructor(private readonly limit: number = MOST_WAITING) {}

  /** Jobs that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Lets a job wait for its turn; returns what it ends with.
   *
   * @throws {BusyError} The line is full, or closed.
   */
  add(job: Job, watch: Watch): Promise<Made> {
    const { signal } = watch;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed || this.#waiting.length >= this.limit) {
      const seconds = Math.ceil(this.#waiting.length * this.#secondsPerImage);
      return Promise.reject(new BusyError(this.#waiting.length, Math.max(1, seconds)));
    }
    return new Promise((resolve, reject) => {
      const abort = () => place.end({ error: signal?.reason });
      let ended = false;
      const place: Place = {
        job,
        watch,
        get ended() {
          return ended;
        },
        end: (result) => {
          if (ended) return;
          ended = true;
          signal?.removeEventListener("abort", abort);
          this.#remove(place);
          if ("made" in result) resolve(result.made);
          else reject(result.error);
        },
      };
      signal?.addEventListener("abort", abort);
      this.#waiting.push(place);
      this.#wake?.();
    });
  }

  /** The first in line, which stays there; waits for one. Null once the line is closed and empty. */
  async first(): Promise<Place | null> {
    while (this.#waiting.length === 0) {
      if (this.#closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
    return this.#waiting[0]!;
  }

  /** The number of jobs in line that could share a batch with one. */
  alike(first: Place): number {
    return this.#alike(first).length;
  }

  /** Takes those out of the line that share a batch with the first one. */
  take(first: Place, most: number): Place[] {
    const batch = this.#alike(first).slice(0, most);
    for (const place of batch) this.#remove(place);
    return batch;
  }

  #alike({ job: { settings } }: Place): Place[] {
    return this.#waiting.filter(({ job }) => areEqual(job.settings, settings));
  }

  /** Takes the time of a batch into account. */
  learn(seconds: number, images: number): void {
    this.#secondsPerImage += WEIGHT * (seconds / images - this.#secondsPerImage);
  }

  /** Refuses new jobs. Those that wait keep their places, or end with `error`. */
  close(error?: unknown): void {
    this.#closed = true;
    if (error !== undefined) { for (const place of [...this.#waiting]) place.end({ error }); }
    this.#wake?.();
  }

  #remove(place: Place): void {
    const at = this.#waiting.indexOf(place);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

/** Whether settings are the same. They are compared as they are: a key that holds their images would be a copy of them. */
function areEqual(one: JobSettings, other: JobSettings): boolean {
  if (one === other) return true;
  const names = Object.keys({ ...one, ...other }) as (keyof JobSettings)[];
  return names.every((name) => {
    const [a, b] = [one[name], other[name]];
    return a === b || Array.isArray(a) && Array.isArray(b) && `${a}` === `${b}`;
  });
}
