import type { Device } from "../../../engine/mod.ts";
import type { LossScale } from "../optimiser/loss_scale.ts";
import { Journal, type JournalRow } from "./journal.ts";
import { type DoneStep, type RecordedStep, type StepReport, summarise } from "./report.ts";
import type { PassResult } from "./task.ts";

/**
 * Steps between read-backs, unless some milliseconds have passed before: each lets a GPU idle for as long as the host
 * takes to record the next step, and between them the data of all these steps are staged.
 */
const STEPS = 8;
const MILLISECONDS = 500;

/** Read-backs under way: while one is awaited, the GPU has the steps after it to do. */
const AHEAD = 1;

/** What a {@link Logbook} is for. */
export interface LogbookOptions {
  /** Passes of a step. */
  readonly accumulate: number;
  /** Steps between reports. */
  readonly every: number;
  /** Hears of steps that overflowed, and of those that did not; null if no loss is scaled. */
  readonly scale: LossScale | null;
  /** Seconds of training so far. */
  readonly clock: () => number;
  /** Called with each report, in order. */
  readonly onReport: ((report: StepReport) => void | Promise<void>) | undefined;
}

/** Takes up what steps left on the GPU, while the next ones are computed, and reports it. */
export class Logbook {
  readonly #journal: Journal;
  /** Steps that were recorded since the last read-back, which was then. */
  #recorded: RecordedStep[] = [];
  #read = performance.now();
  /** Read-backs under way, the oldest first. */
  readonly #reading: Promise<void>[] = [];
  /** Steps that were read and not reported, and when the last one had ended. */
  #done: DoneStep[] = [];
  #ended = 0;
  #stopped: RecordedStep | null = null;
  /** What went wrong while steps were taken up. */
  #failure: { readonly error: unknown } | null = null;

  /** Begins without steps. */
  constructor(device: Device, private readonly options: LogbookOptions) {
    this.#journal = new Journal(device, STEPS);
  }

  /** The step from which on the training changed nothing, because its numbers are not finite; null if none is known. */
  get stopped(): RecordedStep | null {
    return this.#stopped;
  }

  /** Begins to count the time of the next steps: after a pause, for instance. */
  begin(): void {
    this.#read = performance.now();
    this.#ended = this.options.clock();
  }

  /** Adds the metrics of a pass of the next step. */
  add(micro: number, metrics: PassResult["metrics"]): void {
    this.#journal.add(this.#recorded.length, micro === 0, metrics);
  }

  /** Where an optimiser finds the loss of the next step, and writes what it did. */
  places(): ReturnType<Journal["places"]> {
    return this.#journal.places(this.#recorded.length);
  }

  /** Hears that a step was recorded, and begins to read some back now and then. */
  async push(step: RecordedStep): Promise<void> {
    this.#recorded.push(step);
    const late = performance.now() - this.#read > MILLISECONDS;
    if (late || this.#recorded.length === STEPS) await this.#readBack();
  }

  /** Begins to read what the last steps left. */
  async #readBack(): Promise<void> {
    const recorded = this.#recorded;
    this.#read = performance.now();
    if (recorded.length === 0) return;
    this.#recorded = [];
    const before = this.#reading.at(-1);
    const read = this.#journal.read(recorded.length);
    const heard = read.then(async (rows) => {
      await before;
      await this.#hear(recorded, rows);
    });
    this.#reading.push(heard.catch((error) => {
      this.#failure ??= { error };
    }));
    while (this.#reading.length > AHEAD) await this.#reading.shift();
    this.check();
  }

  /** Takes up what steps left. */
  async #hear(recorded: readonly RecordedStep[], rows: readonly JournalRow[]): Promise<void> {
    const { scale, every, clock } = this.options;
    const duration = (clock() - this.#ended) / rows.length; // they were read together
    for (const [i, row] of rows.entries()) {
      const one = recorded[i]!;
      if (row.stopped) {
        this.#stopped ??= one;
        return;
      }
      scale?.report(one.scale, row.skipped);
      if (scale?.exhausted) this.#stopped ??= one;
      this.#ended += duration;
      this.#done.push({ recorded: one, row, seconds: this.#ended, duration });
      // in time with a training that was not interrupted
      if ((one.step + 1) % every === 0) await this.report();
    }
  }

  /** Waits for all steps that were recorded. */
  async drain(): Promise<void> {
    await this.#readBack();
    await this.settle();
    this.check();
  }

  /** Waits for read-backs under way, whatever comes of them. */
  async settle(): Promise<void> {
    await Promise.all(this.#reading.splice(0));
  }

  /** Reports the steps that were not reported yet. */
  async report(): Promise<void> {
    const { accumulate, onReport } = this.options;
    const done = this.#done;
    if (done.length === 0) return;
    this.#done = [];
    await onReport?.(summarise(done, accumulate));
  }

  /** Throws what went wrong while steps were taken up. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Frees the memory. */
  dispose(): void {
    this.#journal.dispose();
  }
}
