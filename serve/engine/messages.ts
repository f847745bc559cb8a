/** What the GPU's thread and its owner say to each other: one order at a time, and its answer. */

import type { SentError } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { LoraOption } from "../../model/checkpoint/lora.ts";
import type { Job, JobSettings, Made, ModelCard, ScaleDone } from "../jobs/job.ts";

/** How to load the model. */
export interface ThreadOptions {
  /** Its folder or URL; the default model if absent. */
  readonly model?: string;
  /** See {@link LoadOptions.type}. */
  readonly type?: WeightType;
  /** The implementation of WebGPU; the runtime's own if absent. */
  readonly gpu?: "wgpu" | "dawn";
  /** See {@link LoadOptions.staged}. */
  readonly staged?: boolean;
  /** See {@link LoadOptions.lora}. */
  readonly lora?: readonly LoraOption[];
  /** Bytes of everything on the GPU, which bound batches. */
  readonly maxBytes?: number;
  /** The most pixels of an image to edit; 2^27 if absent. */
  readonly maxPixels?: number;
}

/** Images to make together. */
export interface BatchOrder {
  /** What differs: the prompt and the seed of each. */
  readonly jobs: readonly Pick<Job, "prompt" | "seed">[];
  /** What they share. */
  readonly settings: JobSettings;
  /** Which of them want an image of each scale. */
  readonly previews: readonly boolean[];
}

/**
 * To the thread. `cancel` is set to 1 to end a batch within one scale. It is shared memory where a wait for the GPU
 * blocks the thread, so that its messages wait until the end; where there is none, the order `cancel` does the same.
 */
export type Order =
  | { readonly kind: "open"; readonly options: ThreadOptions; readonly cancel: Int32Array }
  | { readonly kind: "fits"; readonly settings: JobSettings; readonly images: number }
  | { readonly kind: "batch"; readonly batch: BatchOrder }
  | { readonly kind: "close" }
  | { readonly kind: "cancel" };

/** What an order is answered with. */
export interface Answers {
  readonly open: ModelCard;
  readonly fits: number;
  /** An image for each job. */
  readonly batch: readonly Made[];
  readonly close: null;
  /** None comes. */
  readonly cancel: never;
}

/** A scale of a batch: its seconds, and an image for each job that wants one. */
export interface BatchScale extends Pick<ScaleDone, "scale" | "scales"> {
  readonly seconds: number;
  readonly images: readonly (ScaleDone["image"] | null)[];
}

/** From the thread. */
export type Reply =
  | { readonly kind: "scale"; readonly scale: BatchScale }
  | { readonly kind: "answer"; readonly answer: Answers[Order["kind"]]; readonly gpuBytes: number }
  | { readonly kind: "error"; readonly error: SentError; readonly gpuBytes: number };
