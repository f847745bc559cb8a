import { type Io, note, outJson, warn } from "../io/io.ts";
import { duration, ProgressLine, seconds } from "../io/progress.ts";
import { fileOf } from "../../serve/batch/run_batch.ts";
import type { Wanted } from "../../serve/batch/wanted.ts";
import type { Made } from "../../serve/jobs/job.ts";

/** Milliseconds between two reports, on a terminal and elsewhere. */
const OFTEN = { terminal: 200, elsewhere: 10_000 } as const;

/** What is told of a batch: how far it is and how fast, what failed, and the sum. */
export class BatchReport {
  readonly #progress: ProgressLine;
  readonly #warnings: Set<string> = new Set();
  #began = performance.now();
  #shown = -Infinity;
  #made = 0;
  #failed = 0;

  /** Of `all` images, `missing` are to be made. */
  constructor(
    private readonly all: number,
    private readonly missing: number,
    private readonly output: string,
    private readonly json: boolean,
    private readonly io: Io,
  ) {
    this.#progress = new ProgressLine(io);
  }

  /** Starts the clock, when the model is loaded. */
  begin(): void {
    this.#began = performance.now();
  }

  /** Counts an image. */
  made({ warnings }: Made): void {
    this.#made++;
    for (const warning of warnings) {
      if (this.#warnings.has(warning)) continue;
      if (this.#warnings.size < 100) this.#warnings.add(warning);
      this.#clear();
      warn(this.io, warning);
    }
    this.#show();
  }

  /** Counts an image that cannot be made. */
  failed(image: Wanted, error: Error): void {
    this.#failed++;
    this.#clear();
    warn(this.io, `line ${image.line} (${fileOf(image)}): ${error.message}`);
  }

  /** Says how to continue. */
  stopped(): void {
    this.#clear();
    // an image that could be written may not be recorded, and is found by the next run
    note(this.io, `${this.#sum("recorded")}; run the same command again to make the rest`);
  }

  /** Prints the sum, and returns the status of the process. */
  end(): number {
    this.#clear();
    const there = this.all - this.missing;
    if (this.json) {
      outJson(this.io, {
        output: this.output,
        images: this.all,
        made: this.#made,
        failed: this.#failed,
        there,
        seconds: this.#seconds,
        imagesPerSecond: this.#rate,
      });
    } else {
      note(this.io, there > 0 ? `${this.#sum()}; ${there} were there already` : this.#sum());
    }
    return this.#failed > 0 ? 1 : 0;
  }

  [Symbol.dispose](): void {
    this.#clear();
  }

  get #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  get #rate(): number {
    return Number((this.#made / this.#seconds).toPrecision(3));
  }

  #sum(done = "made"): string {
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : "";
    if (this.#made === 0) return `No image was ${done}${failed}`;
    const time = this.#seconds < 60 ? seconds(this.#seconds) : duration(this.#seconds);
    return `${images(this.#made)} in ${time}: ${this.#rate} a second${failed}`;
  }

  #show(): void {
    const now = performance.now();
    const pause = this.io.errIsTerminal ? OFTEN.terminal : OFTEN.elsewhere;
    if (now - this.#shown < pause) return;
    this.#shown = now;
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : "";
    const done = this.#made + this.#failed;
    const text = `${done} of ${this.missing} images, ${this.#rate} a second${failed}`;
    this.#progress.show(text, done / this.missing);
  }

  #clear(): void {
    this.#progress[Symbol.dispose]();
  }
}

function images(count: number): string {
  return count === 1 ? "1 image" : `${count} images`;
}
