import { type Capabilities, OutOfMemoryError } from "../engine/mod.ts";
import type { ModelConfig } from "./config/types.ts";
import { adapterOptions, type MemoryOptions, planMemory } from "./memory_plan.ts";

/** What a batch must fit into. */
export interface BatchLimits {
  /** Images that are wanted. */
  readonly images: number;
  /** Bytes of everything on the GPU; unlimited if absent. */
  readonly maxBytes?: number;
  /** Bytes of cache and workspace, beyond which a batch is not made larger; unlimited if absent. */
  readonly maxActivations?: number;
  /** Bytes that one binding of the adapter holds; those of a large GPU if absent. */
  readonly maxBindingBytes?: number;
}

/**
 * The most images that can be generated in one batch. Nothing is allocated: batches are planned, as
 * {@link planMemory} does it.
 *
 * @param options What is generated; `batchCount` and `prompts` do not matter.
 * @returns A whole number from 1 to `images`; 1 also if one image does not fit.
 * @throws {InputError} As {@link InfinityModel.generate} does.
 */
export async function batchThatFits(
  config: ModelConfig,
  options: MemoryOptions,
  limits: BatchLimits,
): Promise<number> {
  const { images, maxBytes = Infinity, maxActivations = Infinity, maxBindingBytes } = limits;
  const fits = async (count: number): Promise<boolean> => {
    try {
      // as many prompts as images: the most that their texts can take
      const batch = { ...options, batchCount: 1, prompts: count, seed: undefined, maxBindingBytes };
      const { peak, stages } = await planMemory(config, batch);
      return peak <= maxBytes &&
        stages.every(({ cache, workspace }) => cache + workspace <= maxActivations);
    } catch (error) {
      if (error instanceof OutOfMemoryError) return false;
      throw error;
    }
  };
  let [most, tooMany] = [1, images + 1];
  // doubling first: plans of small batches are quick
  for (let next = 2; next < tooMany; next = Math.min(2 * most, Math.ceil((most + tooMany) / 2))) {
    if (await fits(next)) most = next;
    else tooMany = next;
    if (tooMany - most <= 1) break;
  }
  return most;
}

/** Bytes of cache and workspace beyond which a batch is not made larger, so that images come steadily. */
const ACTIVATIONS = 2 ** 30;
/** The most images of a batch: beyond this they gain no speed, and the first ones only come later. */
const MOST = { gpu: 64, cpu: 16 } as const;

/**
 * The number of images that it is sensible to generate in one batch on a device: as {@link batchThatFits}, but small
 * enough that images come steadily.
 *
 * @param bounds The images that are wanted, and the bytes of everything on the GPU; where these are not given, the free
 * memory is unknown, and batches stay small.
 * @param capabilities Those of the device; a large GPU if absent.
 */
export async function usualBatch(
  config: ModelConfig,
  options: MemoryOptions,
  { images, maxBytes }: Pick<BatchLimits, "images" | "maxBytes">,
  capabilities?: Pick<Capabilities, "class" | "f16" | "limits">,
): Promise<number> {
  const known = capabilities && adapterOptions(capabilities);
  return await batchThatFits(config, { ...options, ...known }, {
    images: Math.min(images, MOST[known?.adapter ?? "gpu"]),
    ...maxBytes === undefined ? { maxActivations: ACTIVATIONS } : { maxBytes },
    maxBindingBytes: known?.maxBindingBytes,
  });
}
