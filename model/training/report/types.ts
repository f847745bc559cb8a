/**
 * What training says of itself, and what it is told besides its CONFIG.json.
 *
 * @module
 */

import type { Stage } from "../config/types.ts";

/** A line of log.jsonl: what a stage has reached. */
export interface Report {
  /** The stage. */
  readonly stage: Stage;
  /** Steps done. */
  readonly step: number;
  /** The loss, a mean over the steps since the last report. */
  readonly loss: number;
  /** Seconds of training in this stage, over all runs. */
  readonly seconds: number;
  /** Learning rate of the step. */
  readonly learning_rate: number;
  /** Norm of all gradients together, before it was clipped. */
  readonly gradient_norm?: number;
  /** Terms of the loss by name. */
  readonly losses?: Readonly<Record<string, number>>;
  /** Share of bits that are right, for each scale, from 0 to 1. */
  readonly bit_accuracy?: readonly number[];
  /** Peak signal-to-noise ratio of decoded images in dB. */
  readonly psnr?: number;
  /** Images per second since the last report. */
  readonly images_per_second: number;
  /** Tokens per second since the last report. */
  readonly tokens_per_second?: number;
  /** What the loss was multiplied by, with f16. */
  readonly loss_scale?: number;
  /** Steps since the last report that changed nothing, because gradients were too large for f16. */
  readonly skipped?: number;
}

/** A report, and how far the stage is. */
export interface TrainingProgress {
  /** What is logged. */
  readonly report: Report;
  /** Part of the stage that is done, from 0 to 1. */
  readonly part: number;
  /** Steps of the stage; null if the clock ends it. */
  readonly steps: number | null;
  /** Seconds that are left, estimated. */
  readonly secondsLeft: number;
}

/** How a stage is run; what it does is said by its `TrainConfig`. */
export interface TrainingOptions {
  /** Folder that becomes the model's, with checkpoints, log, curves and samples. */
  readonly output: string;
  /** A WebGPU implementation; Deno's own if absent. */
  readonly gpu?: GPU;
  /** Goes on from the stage's last checkpoint in the folder. */
  readonly resume?: boolean;
  /** Goes on even if the stage began with other settings. */
  readonly anyConfig?: boolean;
  /** Makes a checkpoint when it is aborted, if there was a step, and then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Called while captions are encoded before the first step, with the part that is done, from 0 to 1. */
  readonly onPrepare?: (part: number) => void;
  /** Called with each report. */
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Called with the path of each sheet of samples. */
  readonly onSamples?: (path: string) => void;
  /** Called with one line for what a user should know, such as an image that was skipped. */
  readonly onWarning?: (line: string) => void;
}

/** How a stage ended. */
export interface TrainingResult {
  /** The stage. */
  readonly stage: Stage;
  /** Steps done. */
  readonly step: number;
  /** The last loss that was reported; null if none was. */
  readonly loss: number | null;
  /** Seconds of training, over all runs. */
  readonly seconds: number;
  /** Files that were written, by their paths. */
  readonly files: readonly string[];
  /** Name of the adapter. */
  readonly adapter: string;
}
