import { OutOfMemoryError } from "../engine/mod.ts";
import type { ModelConfig } from "./config/types.ts";
import { type MemoryOptions, planMemory } from "./memory_plan.ts";

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
