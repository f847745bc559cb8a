/**
 * The engine in a tab of a browser: a model on the GPU of whoever looks at the page. Its bundle, `engine.js`, is the
 * client; the engine runs in a Worker of its own, `engine_worker.js`, so that the page stays responsive.
 *
 * @example
 * ```ts ignore
 * const { openTab } = await import("./engine.js");
 * const maker = await openTab({ modelUrl: "./model/", onProgress: ({ done, total }) => show(done / total) });
 * const job = { id: "1", prompt: "red apple", seed: "7", settings: {} };
 * const { rgba, width, height } = await maker.make(job, { previews: true, onScale: draw });
 * ```
 *
 * @module
 */

import type { Maker } from "../serve/jobs/job.ts";

/** How far the model is on its way to the GPU. */
export interface LoadProgress {
  /** `download`: bytes come from the server; `cache`: they were kept from a visit before; `load`: the GPU gets them. */
  readonly stage: "download" | "cache" | "load";
  /** The file that comes, or that is loaded, by its name in the model's folder. */
  readonly file: string;
  /** Bytes that are here, of all files. */
  readonly done: number;
  /** Bytes of all files. */
  readonly total: number;
}

/** What {@linkcode openTab} needs. */
export interface OpenTabOptions {
  /** The model's folder, relative to the document. */
  readonly modelUrl: string | URL;
  /** The engine's module, relative to the document; `engine_worker.js` beside the client if absent. */
  readonly workerUrl?: string | URL;
  /** Storage of the weights; that of the files, or f32, if absent. */
  readonly type?: "f32" | "f16" | "q8_0" | "q4_0";
  /** Called as bytes come. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Stops opening; `close()` of the maker ends it later. */
  readonly signal?: AbortSignal;
}

/**
 * Says why a model cannot run in this browser, as a sentence without a period; null if it can. Opens no device.
 */
export function whyNot(): Promise<string | null> {
  return Promise.resolve(null);
}

/**
 * Downloads a model, or takes it from Cache Storage, and opens it on this browser's GPU. Files that are kept make
 * another visit work offline; those that changed on the server are downloaded again.
 *
 * @returns A maker whose `card` has resolved. It makes one image at a time; `make` rejects with {@linkcode BusyError}
 * only if a hundred wait.
 * @throws {DeviceError} `no-webgpu` or `no-adapter`: the message says what to do.
 * @throws {FileError | CheckpointError | ConfigError} The model is missing, or a file is wrong.
 * @throws The reason of `signal`, once it is aborted.
 */
export function openTab(_options: OpenTabOptions): Promise<Maker> {
  throw new Error("Cannot open a tab yet");
}
