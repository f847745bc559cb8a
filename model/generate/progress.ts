/**
 * How a generation tells what it is doing, and hears that it is to end.
 *
 * @module
 */

import type { Device } from "../../engine/mod.ts";
import type { Pass } from "../transformer/pass.ts";

/** What {@link generate} tells while it works. */
export interface Progress {
  /** `scale`: a scale's tokens are drawn; `decode`: the image is made of them. */
  readonly stage: "scale" | "decode";
  /** Index of the scale, from 0; that of the last scale at `decode`. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** Tokens along the scale's height. */
  readonly height: number;
  /** Tokens along the scale's width. */
  readonly width: number;
  /** Seconds since generation began. */
  readonly seconds: number;
}

/** The stages of a generation, each with a part of the model of its own. */
export type Stage = "text" | "transformer" | "vae";

/** Hooks of a running generation. `onProgress` and `signal` make it wait for the GPU after each scale. */
export interface Hooks {
  /** Called after each scale and after the decoder. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called when a stage begins: the text encoder, the transformer, the VAE. */
  readonly onStage?: (stage: Stage) => void;
  /** Ends generation between two scales by throwing its reason. */
  readonly signal?: AbortSignal;
}

/** Says that a part of the work is done, and whether the GPU was waited for already. */
export type Report = (
  stage: Progress["stage"],
  scale: number,
  height: number,
  width: number,
  waited?: boolean,
) => Promise<void>;

/** Waits for the GPU and tells how far it is, if anybody listens; throws at an abort. */
export function reporter(device: Device, scales: number, { signal, onProgress }: Hooks): Report {
  const began = performance.now();
  return async (stage, scale, height, width, waited = false) => {
    signal?.throwIfAborted();
    if (!signal && !onProgress) return;
    if (!waited) await device.finish();
    signal?.throwIfAborted();
    const seconds = (performance.now() - began) / 1000;
    onProgress?.({ stage, scale, scales, height, width, seconds });
  };
}

/** Multiplications of a block from which on a CPU is busy for long enough to be interrupted. */
const LONG_BLOCK = 5e9;

/**
 * Between two blocks that take a CPU long: waits for it, so that an abort is heard. Deno hears no signal while it waits
 * for the GPU, and otherwise would wait for a whole scale.
 */
export function pauser(device: Device, { embed_dim: C }: { embed_dim: number }, { signal }: Hooks) {
  return async ({ batch, rows }: Pass): Promise<void> => {
    if (!signal || device.capabilities.class !== "cpu" || batch * rows * 16 * C * C < LONG_BLOCK) {
      return;
    }
    await device.finish();
    // the event loop's next turn delivers what came meanwhile
    await new Promise((resolve) => setTimeout(resolve, 0));
    signal.throwIfAborted();
  };
}
