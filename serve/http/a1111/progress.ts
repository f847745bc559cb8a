/** How far the last request of the A1111 API is. */

import type { Pixels, ScaleDone } from "../../jobs/job.ts";

/** Milliseconds for which a client that asked for progress is thought to ask again. */
const ASKS_AGAIN = 60_000;

/** A request that runs. */
export class Run {
  /** When it began. */
  readonly began: number = Date.now();
  /** The image of the last scale. */
  latest: Pixels | null = null;
  /** Whether a client has interrupted it. */
  interrupted = false;
  readonly #shares: number[];
  #scale: ScaleDone | null = null;

  /** Begins a request of `images`, which `abort` ends. */
  constructor(readonly images: number, readonly abort: () => void) {
    this.#shares = new Array(images).fill(0);
  }

  /** Takes a scale of an image into account. */
  onScale(index: number, done: ScaleDone): void {
    this.#shares[index] = (done.scale + 1) / done.scales;
    this.#scale = done;
    if (done.image) this.latest = done.image;
  }

  /** The share that is done, from 0 to 1. */
  get share(): number {
    return this.#shares.reduce((sum, share) => sum + share, 0) / this.images;
  }

  /** Images that are done. */
  get made(): number {
    return this.#shares.filter((share) => share === 1).length;
  }

  /** Scales of the image that are done, and all of them. */
  get steps(): readonly [number, number] {
    return this.#scale ? [this.#scale.scale + 1, this.#scale.scales] : [0, 0];
  }
}

/** The requests that run; clients of this API think that there is one at a time. */
export class Runs {
  readonly #runs: Run[] = [];
  #asked = -Infinity;

  /** Begins one. */
  begin(images: number, abort: () => void): Run {
    const run = new Run(images, abort);
    this.#runs.push(run);
    return run;
  }

  /** Ends one. */
  end(run: Run): void {
    this.#runs.splice(this.#runs.indexOf(run), 1);
  }

  /** The one that began last, if any runs. */
  get last(): Run | undefined {
    return this.#runs.at(-1);
  }

  /** Notes that somebody asks for progress. */
  ask(): void {
    this.#asked = Date.now();
  }

  /** Whether somebody asked for progress lately, so that images of scales are worth their time. */
  get watched(): boolean {
    return Date.now() - this.#asked < ASKS_AGAIN;
  }

  /** Aborts all. */
  interrupt(): void {
    for (const run of this.#runs) {
      run.interrupted = true;
      run.abort();
    }
  }
}

/** What `GET /sdapi/v1/progress` answers, without the image. */
export function progressOf(run: Run | undefined) {
  const share = run?.share ?? 0;
  const seconds = run ? (Date.now() - run.began) / 1000 : 0;
  const [step, steps] = run?.steps ?? [0, 0];
  return {
    progress: share,
    eta_relative: share > 0 ? seconds * (1 / share - 1) : 0,
    state: {
      skipped: false,
      interrupted: run?.interrupted ?? false,
      stopping_generation: false,
      job: run ? "scripts_txt2img" : "",
      job_count: run?.images ?? 0,
      job_timestamp: stamp(run?.began ?? 0),
      job_no: run?.made ?? 0,
      sampling_step: step,
      sampling_steps: steps,
    },
    textinfo: null,
  };
}

/** As the web UI writes times: `20261127180000`. */
function stamp(time: number): string {
  return time === 0 ? "0" : new Date(time).toISOString().replaceAll(/\D/g, "").slice(0, 14);
}
