import { type Device, OutOfMemoryError } from "../../../engine/mod.ts";
import { LossScale } from "../optimiser/loss_scale.ts";
import { Optimiser } from "../optimiser/optimiser.ts";
import { learningRate } from "../optimiser/schedule.ts";
import { type Observer, Tape } from "../tape/tape.ts";
import { loadCheckpoint, type LoadOptions, saveCheckpoint } from "./checkpoint.ts";
import { Diagnosis } from "./diagnosis.ts";
import { Logbook } from "./logbook.ts";
import type { RecordedStep } from "./report.ts";
import type { Pass, PassResult, Task } from "./task.ts";
import type { TrainerOptions, TrainerResult } from "./trainer_options.ts";
import { TrainingError } from "./training_error.ts";

/**
 * How far memory may grow beyond what a pass needs by itself: captions of other lengths need buffers of other sizes, each
 * of which would stay.
 */
const SLACK = 1.02;

/** Milliseconds after which other work of the program gets its turn. */
const TURN = 10;

/** Whether an error says that steps themselves fail, as they would again. */
function isOfSteps(error: unknown): boolean {
  return error instanceof TrainingError || error instanceof OutOfMemoryError;
}

/**
 * The loop of a training: passes, updates, reports and checkpoints.
 *
 * Steps are recorded without waiting for the GPU. What they say of themselves stays there for several steps, and is
 * taken up while the next are computed. So NaN is noticed late, but nothing is lost: the optimiser changes nothing from
 * the first step on whose loss or gradients are not finite.
 */
export class Trainer {
  /** Updates the parameters. */
  readonly optimiser: Optimiser;
  readonly #logbook: Logbook;
  readonly #accumulate: number;
  readonly #scale: LossScale | null;
  /** Steps that were recorded. */
  #step = 0;
  /** Seconds of earlier runs, and when this one began. */
  #before = 0;
  /** Seconds of the warm-up. */
  #warm = 0;
  #began: number | null = null;
  #turn = 0;
  #saved = -1;
  /** Most bytes that were held after a pass which found no free memory, and whether the next one does. */
  #needed = 0;
  #trimmed = true;

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
    const { accumulate = 1, every = 10, dtype, lossScale, onReport } = options;
    this.#accumulate = accumulate;
    this.#scale = dtype === "f16" ? new LossScale(lossScale) : null;
    this.#logbook = new Logbook(device, {
      accumulate,
      every,
      scale: this.#scale,
      clock: () => this.seconds,
      onReport,
    });
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
    return this.#share(this.#step, this.seconds);
  }

  /** Share of the training that so many steps and seconds are. */
  #share(step: number, seconds: number): number {
    const { steps, minutes } = this.options;
    const shares = [
      steps === null ? 0 : step / steps,
      minutes === null ? 0 : seconds / (60 * minutes),
    ];
    return Math.min(1, Math.max(...shares));
  }

  /** The learning rate of the next step. */
  #rate(progress: number): number {
    const { schedule } = this.options;
    const step = this.#step;
    if (step <= schedule.warmup) {
      this.#warm = this.seconds;
      return learningRate(schedule, step, 0);
    }
    const warm = this.#share(schedule.warmup, this.#warm);
    return learningRate(schedule, step, (progress - warm) / (1 - warm));
  }

  /** Goes on from a checkpoint; see {@link loadCheckpoint}. */
  async resume(path: string, options: Omit<LoadOptions, "config"> = {}): Promise<void> {
    const { config = null } = this.options;
    const all = { ...options, config };
    const progress = await loadCheckpoint(this.device, path, this.optimiser, all);
    this.#step = this.#saved = progress.step;
    this.#before = progress.seconds;
    this.#warm = progress.warm;
    if (!this.#scale) return;
    this.#scale.value = progress.lossScale;
    this.#scale.sound = progress.sound;
  }

  /**
   * Trains until the last step, or until the time is over, and makes a last checkpoint.
   *
   * @throws {TrainingError} `not-finite`: a loss or gradient is NaN or infinite; the message says where that began.
   *   Parameters are those before that step, and the last checkpoint stays.
   * @throws {OutOfMemoryError} A step does not fit; see `stepTooLarge()`.
   * @throws {FileError} A checkpoint cannot be written; the previous one stays.
   * @throws The reason of the signal, or what data or samples throw, after a checkpoint.
   */
  async run(): Promise<TrainerResult> {
    const { signal } = this.options;
    await using stack = new AsyncDisposableStack();
    stack.use(this.device.begin());
    this.#began = this.#turn = performance.now();
    this.#logbook.begin();
    stack.defer(async () => {
      await this.#logbook.settle();
      this.#before = this.seconds;
      this.#began = null;
    });
    try {
      await this.#steps();
    } catch (error) {
      this.task.parameters.clearGradients(); // of a step that was not completed
      // data or samples that fail or are aborted do not keep steps that are complete from their checkpoint
      if (!signal?.aborted || error !== signal.reason) {
        if (this.#step > 0 && !isOfSteps(error)) await this.#save().catch(() => {});
        throw error;
      }
    }
    await this.#save();
    await this.#logbook.report();
    signal?.throwIfAborted();
    return { step: this.#step, seconds: this.seconds };
  }

  /** Does steps until the training ends, or is to stop. */
  async #steps(): Promise<void> {
    const { signal, checkpoint, pause } = this.options;
    while (this.progress < 1 && !signal?.aborted && !this.#logbook.stopped) {
      await this.#oneStep();
      await this.#takeTurn();
      if (checkpoint && this.#step % checkpoint.every === 0) await this.#save();
      if (pause && this.#step % pause.every === 0) {
        await this.#drain();
        await pause.run(this.#step);
        this.#logbook.begin();
      }
    }
  }

  /** Computes and records one step, and waits for nothing. */
  async #oneStep(): Promise<void> {
    const step = this.#step;
    const { progress } = this;
    const scale = this.#scale?.value ?? 1;
    let [images, tokens] = [0, 0];
    for (let micro = 0; micro < this.#accumulate; micro++) {
      await this.#pass(this.#tape(scale), { step, micro, progress }, (result) => {
        this.#logbook.add(micro, result.metrics);
        images += result.images;
        tokens += result.tokens ?? 0;
      });
      this.#tidy();
    }
    const rate = this.#rate(progress);
    this.optimiser.step({
      ...this.#logbook.places(),
      step,
      rate,
      unscale: 1 / (scale * this.#accumulate),
      stop: this.#scale === null,
    });
    this.device.flush();
    this.#step++;
    await this.#logbook.push({ step, progress, rate, scale, images, tokens });
  }

  /** Gives memory back that passes of other sizes left. */
  #tidy(): void {
    const { memory } = this.device;
    const held = memory.liveBytes + memory.pooledBytes;
    if (this.#trimmed) this.#needed = Math.max(this.#needed, held);
    this.#trimmed = held > SLACK * this.#needed;
    if (this.#trimmed) this.device.trim();
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

  /** Waits for all steps that were recorded. Throws what is wrong with them. */
  async #drain(): Promise<void> {
    await this.#logbook.drain();
    const { stopped } = this.#logbook;
    if (!stopped) return;
    await this.#logbook.report();
    throw await this.#explain(stopped);
  }

  /** Lets other work of the program run now and then: an abort, or what has been read. */
  async #takeTurn(): Promise<void> {
    if (performance.now() - this.#turn < TURN) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#turn = performance.now();
    this.#logbook.check();
  }

  /** Makes a checkpoint of the steps so far, unless one went wrong or there is one. */
  async #save(): Promise<void> {
    const { checkpoint, config = null } = this.options;
    await this.#drain();
    if (!checkpoint || this.#saved === this.#step) return;
    const { optimiser } = this;
    const { value: lossScale = 1, sound = 0 } = this.#scale ?? {};
    const progress = {
      step: this.#step,
      seconds: this.seconds,
      warm: this.#warm,
      lossScale,
      sound,
    };
    await saveCheckpoint(this.device, checkpoint.path, { optimiser, progress, config });
    this.#saved = this.#step;
    this.#logbook.begin();
  }

  /** Does a step again, whose numbers are not finite, to find out where that begins. */
  async #explain({ step, progress, scale }: RecordedStep): Promise<TrainingError> {
    const { parameters } = this.task;
    using diagnosis = new Diagnosis(this.device, parameters);
    for (let micro = 0; micro < this.#accumulate; micro++) {
      const tape = this.#tape(scale, diagnosis);
      await this.#pass(tape, { step, micro, progress }, ({ metrics: { loss } }) => {
        diagnosis.check(loss.reshape(loss.elements).rows(0, 1), "the loss", null);
      });
    }
    parameters.clearGradients();
    return await diagnosis.error(step + 1, this.#saved >= 0);
  }

  /** Frees all but the parameters. */
  dispose(): void {
    this.#logbook.dispose();
    this.optimiser.dispose();
  }

  /** Calls {@link Trainer.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
