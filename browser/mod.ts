/// <reference lib="dom" />

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

import { DeviceError, FileError, orAbort, quote } from "../engine/mod.ts";
import { openEngine } from "../serve/engine/engine.ts";
import type { Maker } from "../serve/jobs/job.ts";
import { downloadModel, type LoadProgress } from "./download.ts";

export type { LoadProgress };

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

/** The most jobs that wait. */
const QUEUE = 100;

/**
 * Says why a model cannot run in this browser, as a sentence without a period; null if it can. Opens no device.
 */
export async function whyNot(): Promise<string | null> {
  return (await obstacle())?.message ?? null;
}

/** What is in the way; null if nothing is. */
async function obstacle(): Promise<DeviceError | null> {
  const refuse = (code: string, why: string) =>
    new DeviceError(code, `Cannot run a model in this browser: ${why}`);
  if (!globalThis.isSecureContext) {
    return refuse("no-webgpu", "WebGPU needs a page from https or localhost");
  }
  if (!navigator.gpu) {
    return refuse("no-webgpu", "it has no WebGPU; use a recent Chrome, Edge, Firefox or Safari");
  }
  // what the engine's Worker reads weights with, and is written in
  if (!("caches" in globalThis && "fromBase64" in Uint8Array && "dispose" in Symbol)) {
    return refuse("no-webgpu", "it is too old; update it");
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter ? null : refuse(
    "no-adapter",
    "its WebGPU finds no GPU; update the driver, or allow graphics acceleration",
  );
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
export async function openTab(
  { modelUrl, workerUrl, type, onProgress, signal }: OpenTabOptions,
): Promise<Maker> {
  signal?.throwIfAborted();
  const why = await obstacle();
  if (why) throw why;
  const base = document.baseURI;
  const folder = URL.parse(modelUrl, base);
  if (!folder || !/^https?:$/.test(folder.protocol)) {
    const message = `Cannot open model ${quote(`${modelUrl}`)}: give the URL of its folder`;
    throw new FileError("file-not-found", message);
  }
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  const total = await downloadModel(folder, { onProgress, signal });
  onProgress?.({ stage: "load", file: "config.json", done: total, total });
  const module = workerUrl
    ? new URL(workerUrl, base)
    : new URL("engine_worker.js", import.meta.url);
  const maker = openEngine({ model: folder.href, type, queue: QUEUE, batch: 1, module });
  try {
    await orAbort(signal, maker.card);
    return maker;
  } catch (error) {
    maker.close("at once").catch(() => {});
    throw error;
  }
}
