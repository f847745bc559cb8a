/**
 * Progress reports of a running generation, and its cancellation.
 *
 * @module
 */

import type { Device } from "../../../engine/mod.ts";
import type { Pass } from "../../transformer/pass.ts";

/** How far a generation has come. `${scale + 1} of ${scales}` is right at every call. */
export interface Progress {
  /** What has just finished: `scale`, the sampling of a scale; `decode`, the decoding of the images. */
  readonly stage: "scale" | "decode";
  /** Index of the scale, from 0; that of the last scale at `decode`. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** Height of the scale in tokens; at `decode`, that of the images in pixels. */
  readonly height: number;
  /** Width of the scale in tokens; at `decode`, that of the images in pixels. */
  readonly width: number;
  /** Seconds since the first scale began. */
  readonly seconds: number;
}

/** The stages of a generation; each uses a different part of the model. */
export type Stage = "text" | "transformer" | "vae";

/**
 * Hooks into a running generation, which waits for the GPU after each scale if `onProgress` or `signal` is given. A GPU
 * may still be at work on scales that take it milliseconds: a wait takes Deno 11 ms.
 */
export interface Hooks {
  /** Called after each scale and after decoding. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called when a stage begins. */
  readonly onStage?: (stage: Stage) => void;
  /** Aborts the generation between two scales, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Reports that a part of the work is done; `waited` says that the GPU has finished it. */
export type Report = (
  stage: Progress["stage"],
  scale: number,
  height: number,
  width: number,
  waited?: boolean,
) => Promise<void>;

/** Operations of a GPU that are worth a wait: half as long as one on the largest, a second on a slow one. */
const WORTH_A_WAIT = 1e12;

/** Makes a function that waits for the GPU, reports progress and throws on abort; it does nothing without hooks. */
export function reporter(device: Device, scales: number, { signal, onProgress }: Hooks): Report {
  const began = performance.now();
  const least = device.capabilities.class === "cpu" ? 0 : WORTH_A_WAIT;
  let done = device.counters.flops;
  return async (stage, scale, height, width, waited = false) => {
    signal?.throwIfAborted();
    if (!signal && !onProgress) return;
    const { flops } = device.counters;
    if (!waited && flops - done >= least) {
      await device.finish();
      done = flops;
    }
    signal?.throwIfAborted();
    const seconds = (performance.now() - began) / 1000;
    onProgress?.({ stage, scale, scales, height, width, seconds });
  };
}

/** Multiplications of a block that keep a CPU busy for long enough to be worth an interruption. */
const LONG_BLOCK = 5e9;

/**
 * Makes a function that is called between two blocks. On a CPU adapter it waits for a long block, so that an abort
 * takes effect before the scale ends: Deno handles no signals while it waits for the GPU.
 */
export function pauser(device: Device, { embed_dim: C }: { embed_dim: number }, { signal }: Hooks) {
  return async ({ batch, rows }: Pass): Promise<void> => {
    if (!signal || device.capabilities.class !== "cpu" || batch * rows * 16 * C * C < LONG_BLOCK) {
      return;
    }
    await device.finish();
    // signals that arrived in the meantime are delivered in the next turn of the event loop
    await new Promise((resolve) => setTimeout(resolve, 0));
    signal.throwIfAborted();
  };
}
