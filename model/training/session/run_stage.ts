import { join } from "../../../deps/@std/path.ts";
import { type Device, OutOfMemoryError } from "../../../engine/mod.ts";
import { makeFolder } from "../../checkpoint/files.ts";
import type { Pixels } from "../../image/enlarge.ts";
import type { OptimiserConfig, Stage, TrainConfig } from "../config/types.ts";
import type { Optimiser } from "../optimiser/optimiser.ts";
import { Reporter } from "../report/reporter.ts";
import type { TrainingOptions, TrainingResult } from "../report/types.ts";
import { type PlanSize, stepTooLarge } from "../run/plan.ts";
import type { StepReport } from "../run/report.ts";
import type { Task } from "../run/task.ts";
import { Trainer } from "../run/trainer.ts";
import type { TrainerOptions } from "../run/trainer_options.ts";
import { checkpointPath } from "./place.ts";
import { reportOf } from "./report_of.ts";

/** What a stage was made from, besides CONFIG.json. */
export interface Facts {
  /** Images of the data; null if they have no end. */
  readonly images?: number | null;
  /** Fingerprint of the tokenizer that makes the bits which are learnt. */
  readonly vae?: string;
  /** Fingerprint of the model that adapters are trained for. */
  readonly base?: string;
}

/** What a stage does, besides what all stages do. */
export interface StageWork {
  /**
   * What is trained. Its metric `loss` is one number, or the sums of `bitCrossEntropy()`; `psnr` is known, and others of
   * one number are terms of the loss.
   */
  readonly task: Task;
  /**
   * Writes the weights into the folder of the model, and returns their paths. Called at the end, and before samples.
   */
  save(optimiser: Optimiser): Promise<readonly string[]>;
  /** Writes what goes with the weights; called once nothing is left that could refuse the training. */
  begin?(): Promise<void>;
  /** What else must be the same when the stage goes on: JSON by names. */
  readonly facts?: Facts;
  /** Bytes that a step of another size needs, see `planStep()`: to say what would fit if this one does not. */
  readonly plan?: PlanSize;
  /** Makes images that show what was learnt, with what each shows; called after {@link StageWork.save}. */
  samples?(): Promise<{ readonly images: readonly Pixels[]; readonly captions: readonly string[] }>;
}

/** What a device has surely, of the bytes that it held when it refused to hold one of them. */
const ROOM = 0.9;

/** Keys that may differ when a stage goes on: how long it takes. */
const FREE = ["settings.steps", "settings.minutes"];

/** Keys that may differ, but not unnoticed: what was moved is the same, something else is not. */
const TOLD = ["images", "vae", "data.path", "data.broken", "init", "words"];

/**
 * Runs a stage from its beginning, or from its checkpoint: with a log, curves, samples and checkpoints in the folder,
 * and its weights at the end.
 *
 * @throws {CheckpointError} `other-config`: it began with other settings.
 * @throws {OutOfMemoryError} `step-too-large`: the message says which batch would fit.
 * @throws As {@link Trainer.run}.
 */
export async function runStage(
  device: Device,
  config: TrainConfig,
  stage: Stage,
  options: TrainingOptions,
  { task, facts = {}, begin, save, samples, plan }: StageWork,
): Promise<TrainingResult> {
  const { output, resume, signal, onProgress, onSamples } = options;
  const { sample_every: every } = config;
  const path = checkpointPath(output, stage);
  await makeFolder(join(output, "checkpoints"));
  let last: StepReport | undefined;
  const onReport = async (step: StepReport) => {
    last = step;
    await reporter.report(reportOf(stage, step));
    onProgress?.({ report: reportOf(stage, step), ...progressOf(trainer, config[stage], step) });
  };
  /** Makes a sheet of what was saved. */
  const show = async (step: number) => {
    if (!samples) return;
    const { images, captions } = await samples().catch((error) => {
      if (!(error instanceof OutOfMemoryError)) throw error;
      options.onWarning?.(`No samples after step ${step}: ${error.message}`);
      return { images: [], captions: [] };
    });
    if (images.length) onSamples?.(await reporter.samples(step, images, captions));
  };
  const explain = (error: unknown) => explainMemory(error, device, config, stage, plan);
  const made: TrainerOptions = {
    ...trainerOptions(config[stage]),
    every: config.report_every,
    config: settingsOf(config, stage, facts),
    checkpoint: { path, every: config.checkpoint_every },
    ...every > 0 && {
      pause: {
        every,
        async run(step) {
          await reporter.draw();
          if (samples) await save(trainer.optimiser);
          await show(step);
        },
      },
    },
    signal,
    onReport,
  };
  using trainer = await Promise.try(() => new Trainer(device, task, made)).catch(explain);
  if (resume) {
    const { anyConfig, onWarning } = options;
    await trainer.resume(path, { free: FREE, told: TOLD, anyConfig, onWarning });
  }
  await begin?.();
  const reporter = await Reporter.open({ output, stage, name: config.name, step: trainer.step });
  try {
    const { step, seconds } = await trainer.run().catch(explain);
    const files = await save(trainer.optimiser);
    if (every > 0 && step % every !== 0) await show(step);
    await reporter.draw();
    const { adapter } = device.capabilities;
    return { stage, step, seconds, loss: last?.loss ?? null, files, adapter };
  } catch (error) {
    await reporter.draw().catch(() => {}); // why the training ended is what counts
    throw error;
  }
}

/** Throws an error on; if memory ran out, one that says what would fit. */
export async function explainMemory(
  error: unknown,
  device: Device,
  config: TrainConfig,
  stage: Stage,
  plan?: PlanSize,
): Promise<never> {
  if (!(error instanceof OutOfMemoryError && plan)) throw error;
  const budget = error.code === "binding-too-large" ? Infinity : ROOM * device.memory.peakBytes;
  throw await stepTooLarge(plan, config[stage], budget, { stage, cause: error });
}

/** What must be the same when a stage goes on. */
function settingsOf(config: TrainConfig, stage: Stage, facts: Facts) {
  const { name, model_json: model, init, words, data, seed } = config;
  return { stage, name, model, init, words, data, seed, ...facts, settings: config[stage] };
}

/** The options of a trainer that a stage's section of CONFIG.json stands for. */
export function trainerOptions(
  section: OptimiserConfig,
): Pick<
  TrainerOptions,
  "steps" | "minutes" | "schedule" | "optimiser" | "accumulate" | "dtype" | "lossScale"
> {
  const { steps, minutes, accumulate, dtype, betas, clip, ema } = section;
  return {
    steps,
    minutes,
    schedule: {
      peak: section.learning_rate,
      warmup: section.warmup,
      shape: section.schedule,
      final: section.learning_rate_end,
    },
    optimiser: {
      betas,
      eps: section.epsilon,
      weightDecay: section.weight_decay,
      clip: clip === 0 ? null : clip,
      ema: ema === 0 ? null : ema,
    },
    accumulate,
    dtype,
    lossScale: section.loss_scale,
  };
}

function progressOf(trainer: Trainer, { steps, minutes }: OptimiserConfig, report: StepReport) {
  const part = trainer.progress;
  const perStep = report.seconds / report.step;
  const left = [
    ...steps === null ? [] : [(steps - report.step) * perStep],
    ...minutes === null ? [] : [60 * minutes - report.seconds],
  ];
  return { part, steps, secondsLeft: Math.max(0, Math.min(...left)) };
}
