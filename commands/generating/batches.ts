import type { ModelChoice } from "../io/model.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import type { SamplingOptions } from "../../model/generate/plan.ts";

/** Bytes of cache and workspace beyond which a batch is not made larger, so that images come steadily. */
const ACTIVATIONS = 2 ** 30;
/** The most images of a batch: beyond this they gain no speed, and the first ones only come later. */
const MOST = { gpu: 64, cpu: 16 } as const;

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
  const { class: adapter, f16, limits } = model.device.capabilities;
  if (images === 1) return 1;
  const { batchThatFits } = await import("../../model/batch.ts");
  const options = { ...sampling, type: model.type, staged, edit, adapter, f16 };
  return await batchThatFits(config, options, {
    images: Math.min(images, MOST[adapter]),
    ...bounds(maxBytes),
    maxBindingBytes: Math.min(
      limits.maxBufferSize ?? Infinity,
      limits.maxStorageBufferBindingSize ?? Infinity,
    ),
  });
}

/** `--max-vram` bounds batches; without it the free memory is unknown, and batches stay small. */
function bounds(maxBytes: number | undefined) {
  return maxBytes === undefined ? { maxActivations: ACTIVATIONS } : { maxBytes };
}

/** The same for a large GPU, before a device is open. */
export async function plannedBatchSize(
  { config }: ModelChoice,
  options: Parameters<typeof import("../../model/batch.ts").batchThatFits>[1],
  { images, maxBytes }: Pick<BatchBounds, "images" | "maxBytes">,
): Promise<number> {
  const { batchThatFits } = await import("../../model/batch.ts");
  return await batchThatFits(config, options, {
    images: Math.min(images, MOST.gpu),
    ...bounds(maxBytes),
  });
}
