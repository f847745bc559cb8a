/**
 * What is asked of whoever makes images, and what comes back: the seam between the HTTP API, the command line and a
 * queue on one side, and a GPU, here or elsewhere, on the other.
 *
 * @module
 */

import type { GenerateOptions } from "../../model/generate/options.ts";

/** Options that are plain JSON. */
type JsonOptions = Pick<
  GenerateOptions,
  | "negativePrompt"
  | "width"
  | "height"
  | "cfgScale"
  | "cfgUntil"
  | "tau"
  | "topK"
  | "topP"
  | "greedy"
  | "strength"
  | "keepScales"
>;

/** How to make an image. Plain JSON; jobs with equal settings can share a batch. */
export interface JobSettings extends JsonOptions {
  /** The image to edit, in base64: a PNG, JPEG or WebP file, or a bits file. */
  readonly init?: string;
  /** What of it may change, in base64: white parts of an image file. */
  readonly mask?: string;
}

/** One image to make. Plain JSON. */
export interface Job {
  /** A name that is unique, of letters, digits, `-` and `_`; the same job has the same name if it is tried again. */
  readonly id: string;
  /** What the image shows. */
  readonly prompt: string;
  /** 0 to 2^64 − 1 in decimal digits; never random, so that another try makes the same image. */
  readonly seed: string;
  /** How to make it. */
  readonly settings: JobSettings;
}

/** Pixels: 8-bit RGBA, row by row. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** An image that was made. */
export interface Made extends Pixels {
  /** The settings that reproduce it, as web UIs write them to a PNG. */
  readonly parameters: string;
  /** Its bits, as a bits file. */
  readonly bits: Uint8Array<ArrayBuffer>;
  /** Warnings, one line each. */
  readonly warnings: readonly string[];
  /** Seconds from the start of its batch to its end. */
  readonly seconds: number;
  /** Images of its batch. */
  readonly batch: number;
}

/** A scale that was sampled. */
export interface ScaleDone {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** The image so far, if {@link Watch.previews}. */
  readonly image?: Pixels;
}

/** Who waits for a job, and what for. */
export interface Watch {
  /** Aborted when nobody waits any longer. A job that runs ends within one scale, unless others share its batch. */
  readonly signal?: AbortSignal;
  /** Whether the image of each scale is decoded. */
  readonly previews?: boolean;
  /** Called after each scale. */
  readonly onScale?: (done: ScaleDone) => void;
}

/** What a model can do, for clients that choose. Plain JSON. */
export interface ModelCard {
  /** Its name in its config.json. */
  readonly name: string;
  /** Storage of its weights, and the adapter. */
  readonly type: string;
  readonly adapter: string;
  /** What tells its weights, with the adapters that were added, from others of its name. */
  readonly digest: string;
  /** Sizes in pixels that it was trained on, the default one first, each with its token grids [rows, columns]. */
  readonly sizes: readonly {
    readonly width: number;
    readonly height: number;
    readonly schedule: readonly (readonly [number, number])[];
  }[];
  /** Defaults of its config.json. */
  readonly defaults: {
    readonly cfgScale: number | readonly number[];
    readonly tau: number | readonly number[];
  };
  /** Whether it can edit images: its VAE has an encoder. */
  readonly edits: boolean;
  /** Images of its default size that make one batch. */
  readonly batch?: number;
}

/** What a maker is doing. */
export interface MakerState {
  /** Whether it takes jobs: its model is loaded, and it is not closing. */
  readonly ready: boolean;
  /** Jobs that wait. */
  readonly queued: number;
  /** Jobs of the batch that runs. */
  readonly running: number;
  /** Bytes that live on its GPU; 0 for one that has none. */
  readonly gpuBytes: number;
}

/** Makes images: on a GPU of this machine, or by a queue of others. */
export interface Maker {
  /** The model; resolves when it is loaded. */
  readonly card: Promise<ModelCard>;
  /** What it is doing. */
  state(): MakerState;
  /**
   * Makes one image.
   *
   * @throws {BusyError} The queue is full.
   * @throws {InputError | FileError} The job is wrong.
   * @throws {DeviceError} The GPU failed, twice.
   * @throws The reason of `watch.signal`, once it is aborted.
   */
  make(job: Job, watch?: Watch): Promise<Made>;
  /** Refuses new jobs, finishes those that run and wait, and frees all. `at once` aborts them. */
  close(how?: "at once"): Promise<void>;
}

/** What there is to count, for metrics. All are optional. */
export interface MakerEvents {
  /** A batch begins. */
  onBatch?(images: number): void;
  /** A scale of a batch took so many seconds. */
  onScaleSeconds?(scale: number, seconds: number): void;
  /** A job ended. */
  onEnd?(how: "made" | "failed" | "aborted"): void;
  /** The device was lost, and is opened again. */
  onLost?(): void;
}
