import type { ModelChoice } from "../io/model.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import type { MemoryOptions } from "../../model/memory_plan.ts";
import type { SamplingOptions } from "../../model/generate/plan/plan.ts";

/** Images that are generated together: a run of all that were asked for. */
export interface Batch {
  /** Index of the first prompt. */
  readonly firstPrompt: number;
  /** Number of prompts. */
  readonly prompts: number;
  /** Images of each prompt. */
  readonly batchCount: number;
  /** Index of the first image. */
  readonly first: number;
  /** Number of images. */
  readonly images: number;
}

/**
 * Splits images into batches: several prompts with all their images, or a part of one prompt's.
 *
 * @param most The most images of a batch.
 */
export function batchesOf(prompts: number, batchCount: number, most: number): Batch[] {
  const batches: Batch[] = [];
  const together = Math.floor(most / batchCount);
  if (together >= 1) {
    for (let p = 0; p < prompts; p += together) {
      const count = Math.min(together, prompts - p);
      const images = count * batchCount;
      batches.push({ firstPrompt: p, prompts: count, batchCount, first: p * batchCount, images });
    }
    return batches;
  }
  for (let p = 0; p < prompts; p++) {
    for (let b = 0; b < batchCount; b += most) {
      const images = Math.min(most, batchCount - b);
      const first = p * batchCount + b;
      batches.push({ firstPrompt: p, prompts: 1, batchCount: images, first, images });
    }
  }
  return batches;
}

/** What bounds a batch besides the adapter. */
export interface BatchBounds {
  /** Images that are wanted. */
  readonly images: number;
  /** Whether an image is encoded first. */
  readonly edit: boolean;
  /** Whether the model is staged. */
  readonly staged: boolean;
  /** Bytes of `--max-vram`. */
  readonly maxBytes?: number;
}

/** The most images that the device of a loaded model generates in one batch. */
export async function batchSize(
  { config }: ModelChoice,
  model: InfinityModel,
  sampling: SamplingOptions,
  { images, edit, staged, maxBytes }: BatchBounds,
): Promise<number> {
  if (images === 1) return 1;
  const { usualBatch } = await import("../../model/batch.ts");
  const options = { ...sampling, type: model.type, staged, edit };
  return await usualBatch(config, options, { images, maxBytes }, model.device.capabilities);
}

/** The same for a large GPU, before a device is open. */
export async function plannedBatchSize(
  { config }: ModelChoice,
  options: MemoryOptions,
  bounds: Pick<BatchBounds, "images" | "maxBytes">,
): Promise<number> {
  const { usualBatch } = await import("../../model/batch.ts");
  return await usualBatch(config, options, bounds);
}
