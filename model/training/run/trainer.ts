import type { Device } from "../../../engine/mod.ts";
import type { FloatType } from "../../../kernels/linear/weight_types.ts";
import { LossScale } from "../optimiser/loss_scale.ts";
import { Optimiser, type OptimiserOptions } from "../optimiser/optimiser.ts";
import { learningRate, type Schedule } from "../optimiser/schedule.ts";
import { type Observer, Tape } from "../tape/tape.ts";
import { loadCheckpoint, type LoadOptions, type Progress, saveCheckpoint } from "./checkpoint.ts";
import { Diagnosis } from "./diagnosis.ts";
import { Journal, type JournalRow } from "./journal.ts";
import { type StepReport, summarise, type Window } from "./report.ts";
import type { Pass, PassResult, Task } from "./task.ts";
import type { TrainingError } from "./training_error.ts";

/** Options of a {@link Trainer}. */
export interface TrainerOptions {
  /** Steps of the whole training; null if the clock ends it. */
  readonly steps: number | null;
  /** Minutes of the whole training, over all runs; null if steps end it. */
  readonly minutes: number | null;
  /** How the learning rate changes. */
  readonly schedule: Schedule;
  /** How parameters follow their gradients. */
  readonly optimiser?: OptimiserOptions;
  /** Passes whose gradients make one step; 1 if absent. */
  readonly accumulate?: number;
  /** Type of activations; f32 if absent. */
  readonly dtype?: FloatType;
  /** What the loss is multiplied by at first, with f16; 2048, the official one, if absent. */
  readonly lossScale?: number;
  /** Steps between reports; 10 if absent. */
  readonly every?: number;
  /** What checkpoints say that was asked for: JSON, with the seed. */
  readonly config?: unknown;
  /** Where checkpoints go, and the steps between them; none if absent. */
  readonly checkpoint?: { readonly path: string; readonly every: number };
  /** Makes a checkpoint when it is aborted, and then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Called with each report, in order. */
  readonly onReport?: (report: StepReport) => void | Promise<void>;
}

/** How a training ended. */
export interface TrainerResult {
  /** Steps done, over all runs. */
  readonly step: number;
  /** Seconds of training, over all runs. */
  readonly seconds: number;
}

/** Milliseconds after which other work of the program gets its turn. */
const TURN = 10;

/** Read-backs under way: while one is awaited, the GPU has the steps after it to do. */
const AHEAD = 2;

/**
 * The loop of a training: passes, updates, reports and checkpoints.
 *
 * Steps are recorded without waiting for the GPU. What they say of themselves stays there until `every` steps are done,
 * and is taken up while the next are computed. So the end of a training by NaN is noticed late, but nothing is lost: the
 * optimiser changes nothing after the first step whose loss or gradients are not finite.
 */
export class Trainer {
  /** Updates the parameters. */
  readonly optimiser: Optimiser;
  readonly #journal: Journal;
  readonly #every: number;
  readonly #accumulate: number;
  readonly #scale: LossScale | null;
  /** Steps that were recorded. */
  #step = 0;
  /** Seconds of earlier runs, and when this one began. */
  #before = 0;
  #began: number | null = null;
  #window: Window;
  /** Read-backs under way, the oldest first. */
  readonly #reading: Promise<void>[] = [];
  /** What went wrong while a report was taken up. */
  #failure: { readonly error: unknown } | null = null;
  /** The step whose numbers are not finite. */
  #stopped: number | null = null;
  #turn = performance.now();
  #saved = -1;

  /**
   * Begins with the values that the parameters have.
   *
   * @throws {OutOfMemoryError} The moments of all parameters do not fit.
   */
  constructor(
    private readonly device: Device,
    private readonly task: Task,
    private readonly options: TrainerOptions,
  ) {
    const { every = 10, accumulate = 1, dtype, lossScale } = options;
    this.#every = every;
    this.#accumulate = accumulate;
    this.#scale = dtype === "f16" ? new LossScale(lossScale) : null;
    this.#journal = new Journal(device, every);
    this.#window = this.#nextWindow();
    this.optimiser = new Optimiser(device, task.parameters, options.optimiser);
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Seconds of training, over all runs. */
  get seconds(): number {
    const now = this.#began === null ? 0 : performance.now() - this.#began;
    return this.#before + now / 1000;
  }

  /** Share of the training that is done, from 0 to 1. */
  get progress(): number {
    const { steps, minutes } = this.options;
    const shares = [
      steps === null ? 0 : this.#step / steps,
      minutes === null ? 0 : this.seconds / (60 * minutes),
    ];
    return Math.min(1, Math.max(...shares));
  }

  /** Goes on from a checkpoint; see {@link loadCheckpoint}. */
  async resume(path: string, options: Omit<LoadOptions, "config"> = {}): Promise<void> {
    const config = this.options.config ?? null;
    const all = { ...options, config };
    const { step, seconds, lossScale } = await loadCheckpoint(
      this.device,
      path,
      this.optimiser,
      all,
    );
    this.#step = this.#saved = step;
    this.#before = seconds;
    if (this.#scale) this.#scale.value = lossScale;
    this.#window = this.#nextWindow();
  }

  /**
   * Trains until the last step, or until the time is over, and makes a last checkpoint.
   *
   * @throws {TrainingError} `not-finite`: a loss or gradient is NaN or infinite; the message says where that began.
   *   Parameters are those before that step, and the last checkpoint stays.
   * @throws {OutOfMemoryError} A step does not fit; see {@link fitStep}.
   * @throws {FileError} A checkpoint cannot be written; the previous one stays.
   * @throws The reason of the signal, after a checkpoint.
   */
  async run(): Promise<TrainerResult> {
    const { signal, checkpoint } = this.options;
    await using _work = this.device.begin();
    this.#began = performance.now();
    using stack = new DisposableStack();
    stack.defer(() => {
      this.#before = this.seconds;
      this.#began = null;
    });
    this.#window = this.#nextWindow();
    while (this.progress < 1 && !signal?.aborted && this.#stopped === null) {
      await this.#oneStep();
      if (this.#window.rows === this.#every) await this.#readWindow();
      await this.#takeTurn();
      if (checkpoint && this.#step % checkpoint.every === 0) await this.#save();
    }
    await this.#save();
    signal?.throwIfAborted();
    return { step: this.#step, seconds: this.seconds };
  }

  /** Computes and records one step, and waits for nothing. */
  async #oneStep(): Promise<void> {
    const { progress } = this;
    const row = this.#window.rows;
    const scale = this.#scale?.value ?? 1;
    for (let micro = 0; micro < this.#accumulate; micro++) {
      const pass = { step: this.#step, micro, progress };
      await this.#pass(this.#tape(scale), pass, ({ metrics, images, tokens = 0 }) => {
        this.#journal.add(row, micro === 0, metrics);
        this.#window.images += images;
        this.#window.tokens += tokens;
      });
    }
    const rate = learningRate(this.options.schedule, this.#step, progress);
    this.optimiser.step({
      ...this.#journal.places(row),
      step: this.#step,
      rate,
      unscale: 1 / (scale * this.#accumulate),
      stop: this.#scale === null,
    });
    this.device.flush();
    this.#window.rate = rate;
    this.#window.scales.push(scale);
    this.#window.rows++;
    this.#step++;
  }

  /** Computes one pass, which adds to gradients. `take` is called before memory is freed. */
  async #pass(tape: Tape, pass: Pass, take: (result: PassResult) => void): Promise<void> {
    using _tape = tape;
    const result = await this.task.compute(tape, pass);
    using owned = new DisposableStack();
    for (const one of result.owned ?? []) owned.use(one);
    take(result);
    tape.unwind();
  }

  #tape(lossScale: number, observer?: Observer): Tape {
    const { dtype = "f32" } = this.options;
    return new Tape(this.device, { dtype, lossScale, ...observer ? { observer } : {} });
  }

  #nextWindow(): Window {
    const { seconds } = this;
    return { first: this.#step, rows: 0, seconds, rate: 0, scales: [], images: 0, tokens: 0 };
  }

  /** Begins to read what the last steps left. */
  async #readWindow(): Promise<void> {
    const window = this.#window;
    this.#window = this.#nextWindow();
    if (window.rows === 0) return;
    const before = this.#reading.at(-1);
    const read = this.#journal.read(window.rows);
    const heard = read.then(async (rows) => {
      await before;
      await this.#hear(window, rows);
    });
    this.#reading.push(heard.catch((error) => {
      this.#failure ??= { error };
    }));
    while (this.#reading.length > AHEAD) await this.#reading.shift();
    this.#check();
  }

  /** Waits for all that was read. */
  async #drain(): Promise<void> {
    await this.#readWindow();
    await Promise.all(this.#reading.splice(0));
    this.#check();
  }

  /** Takes up what steps left. */
  async #hear(window: Window, rows: readonly JournalRow[]): Promise<void> {
    rows.forEach(({ skipped, stopped }, i) => {
      if (stopped) this.#stopped ??= stopped - 1;
      else this.#scale?.report(window.scales[i]!, skipped);
    });
    const sound = rows.filter(({ stopped }) => stopped === 0);
    const report = summarise(window, sound, this.#accumulate, this.seconds);
    if (report) await this.options.onReport?.(report);
    if (this.#scale?.exhausted) {
      this.#stopped ??= window.first;
    }
  }

  /** Throws what went wrong. */
  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Lets other work of the program run now and then: an abort, or what has been read. */
  async #takeTurn(): Promise<void> {
    if (performance.now() - this.#turn < TURN) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#turn = performance.now();
    this.#check();
  }

  /** Makes a checkpoint of the steps so far, unless one went wrong or there is one. */
  async #save(): Promise<void> {
    const { checkpoint, config = null } = this.options;
    await this.#drain();
    if (this.#stopped !== null) throw await this.#explain(this.#stopped);
    if (!checkpoint || this.#saved === this.#step) return;
    const { optimiser } = this;
    const progress: Progress = {
      step: this.#step,
      seconds: this.seconds,
      lossScale: this.#scale?.value ?? 1,
    };
    await saveCheckpoint(this.device, checkpoint.path, { optimiser, progress, config });
    this.#saved = this.#step;
  }

  /** Does a step again, whose numbers are not finite, to find out where that begins. */
  async #explain(step: number): Promise<TrainingError> {
    const { parameters } = this.task;
    const { progress } = this;
    using diagnosis = new Diagnosis(this.device, parameters);
    for (let micro = 0; micro < this.#accumulate; micro++) {
      const tape = this.#tape(this.#scale?.value ?? 1, diagnosis);
      await this.#pass(tape, { step, micro, progress }, ({ metrics: { loss } }) => {
        diagnosis.check(loss.reshape(loss.elements).rows(0, 1), "the loss", null);
      });
    }
    parameters.clearGradients();
    return await diagnosis.error(step);
  }

  /** Frees all but the parameters. */
  dispose(): void {
    this.#journal.dispose();
    this.optimiser.dispose();
  }

  /** Calls {@link Trainer.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
