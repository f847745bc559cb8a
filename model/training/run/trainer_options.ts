import type { FloatType } from "../../../kernels/linear/weight_types.ts";
import type { OptimiserOptions } from "../optimiser/optimiser.ts";
import type { Schedule } from "../optimiser/schedule.ts";
import type { StepReport } from "./report.ts";

/** Options of a `Trainer`. */
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
  /** What is done every so many steps while the training waits, with parameters that are finite: samples. */
  readonly pause?: { readonly every: number; readonly run: (step: number) => Promise<void> };
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
