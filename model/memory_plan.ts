import {
  type Capabilities,
  Device,
  dryGpu,
  formatBytes,
  InputError,
  type MemoryRole,
  OutOfMemoryError,
} from "../engine/mod.ts";
import { InfinityModel } from "./infinity.ts";
import { WEIGHT_TYPES, type WeightType } from "../kernels/linear/weight_types.ts";
import { describe } from "./config/check_value.ts";
import { parseConfig } from "./config/config.ts";
import type { ModelConfig } from "./config/types.ts";
import { blankPrompt } from "./generate/text/blank_prompt.ts";
import { checkMemoryOptions } from "./generate/check_options.ts";
import type { SamplingOptions } from "./generate/plan/plan.ts";
import type { Stage } from "./generate/plan/progress.ts";

/** The generation to plan for. */
export interface MemoryOptions extends SamplingOptions {
  /** Storage of weights and KV cache; `f32` if absent. */
  readonly type?: WeightType;
  /** Whether only the part in use is in memory; false if absent. */
  readonly staged?: boolean;
  /** Whether an image is encoded first, for editing; false if absent. */
  readonly edit?: boolean;
  /** Class of the adapter, which decides the layout of weights; `gpu` if absent. */
  readonly adapter?: "cpu" | "gpu";
  /** Whether the adapter has shader-f16; true if absent. Without it, quantised weights go with activations in f32. */
  readonly f16?: boolean;
  /** Largest binding of the adapter in bytes; that of a large GPU if absent. */
  readonly maxBindingBytes?: number;
  /** Number of prompts; 1 if absent. */
  readonly prompts?: number;
  /** Tokens of each prompt including `</s>`; the most that the model accepts if absent, and no more. */
  readonly promptTokens?: number;
}

/** Memory at the peak of one stage, in bytes. */
export interface StageMemory {
  /** The stage; `load` loads all parts before the first image. */
  readonly stage: Stage | "load";
  /** Weights, including those of other parts and copies made while loading. */
  readonly weights: number;
  /** Keys and values of self-attention and cross-attention. */
  readonly cache: number;
  /** Activations and everything else in use. */
  readonly workspace: number;
  /** All bytes held, including those kept for reuse. */
  readonly peak: number;
}

/** GPU memory of a generation. */
export interface MemoryPlan {
  /** Storage of weights. */
  readonly type: WeightType;
  /** Whether only the part in use is in memory. */
  readonly staged: boolean;
  /** The stages in order. */
  readonly stages: readonly StageMemory[];
  /** Most bytes held at once. */
  readonly peak: number;
}

/** Follows the memory account and keeps its composition at the peak of each stage. */
class Ledger {
  /** The stages so far. */
  readonly stages: StageMemory[] = [];
  #live = { weights: 0, cache: 0, workspace: 0 };
  #held = 0;

  /** Starts with the stage `load`. */
  constructor() {
    this.enter("load");
  }

  /** Starts the next stage. */
  enter(stage: StageMemory["stage"]): void {
    this.stages.push({ stage, ...this.#live, peak: this.#held });
  }

  /** The observer to set as {@link Memory.observer}. */
  readonly observe = (role: MemoryRole, bytes: number, held: number): void => {
    this.#live[role] += bytes;
    this.#held = held;
    const last = this.stages.length - 1;
    if (held <= this.stages[last]!.peak) return;
    this.stages[last] = { stage: this.stages[last]!.stage, ...this.#live, peak: held };
  };
}

/**
 * Plans the memory of a generation before allocating any: runs the model's own code on a GPU that computes nothing, and
 * reads its memory account.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import { planMemory } from "@bitwise/infinity/analysis";
 *
 * using model = await InfinityModel.load();
 * const plan = await planMemory(model.config, { type: "f16", batchCount: 4 });
 * console.log(plan.peak, plan.stages);
 * ```
 *
 * @throws {InputError} As {@link InfinityModel.generate}.
 * @throws {OutOfMemoryError} `binding-too-large`: a tensor exceeds the largest binding.
 */
export async function planMemory(
  config: ModelConfig,
  options: MemoryOptions = {},
): Promise<MemoryPlan> {
  checkMemoryOptions(options);
  config = parseConfig(config, "the config");
  const {
    type = "f32",
    staged = false,
    prompts = 1,
    promptTokens = config.tokenizer.max_length,
    adapter,
    f16,
    maxBindingBytes,
    edit,
    ...sampling
  } = options;
  const { max_length } = config.tokenizer;
  if (promptTokens > max_length) {
    throw new InputError(
      "bad-value",
      `Cannot plan for prompts of ${promptTokens} tokens: ${config.name} takes at most ${max_length}`,
    );
  }
  const gpu = dryGpu(adapter === "cpu", maxBindingBytes, f16);
  using device = await Device.open({ gpu, debug: { level: 0 } });
  const ledger = new Ledger();
  device.memory.observer = ledger.observe;
  using model = await InfinityModel.synthetic(config, { device, type, staged });
  const onStage = (stage: Stage) => ledger.enter(stage);
  const blank = { width: 1, height: 1, rgba: new Uint8Array(4) };
  const text = blankPrompt(config, promptTokens, prompts);
  await model.generate({ ...sampling, ...text, ...edit && { init: blank }, onStage });
  const stages = ledger.stages.filter(({ peak }) => peak > 0);
  return { type, staged, stages, peak: Math.max(...stages.map(({ peak }) => peak)) };
}

/** Returns what a plan must know of an adapter. */
export function adapterOptions(
  { class: adapter, f16, limits }: Pick<Capabilities, "class" | "f16" | "limits">,
): Pick<MemoryOptions, "adapter" | "f16" | "maxBindingBytes"> {
  const { maxBufferSize = Infinity, maxStorageBufferBindingSize = Infinity } = limits;
  return { adapter, f16, maxBindingBytes: Math.min(maxBufferSize, maxStorageBufferBindingSize) };
}

/**
 * Finds the fastest plan within `maxBytes`: all parts resident, unless `staged` is asked for, else staged.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import { fitMemory } from "@bitwise/infinity/analysis";
 *
 * using model = await InfinityModel.load();
 * const { staged, peak } = await fitMemory(model.config, { type: "f16" }, 4e9);
 * console.log(staged, peak);
 * ```
 *
 * @throws {OutOfMemoryError} `over-budget`: neither fits; the message gives the bytes needed and the types that would
 * fit.
 * @throws {InputError} As {@link InfinityModel.generate}.
 */
export async function fitMemory(
  config: ModelConfig,
  options: MemoryOptions,
  maxBytes: number,
): Promise<MemoryPlan> {
  if (!(typeof maxBytes === "number" && maxBytes > 0)) {
    throw new InputError(
      "bad-value",
      `Cannot fit a model into ${describe(maxBytes)}: give a number of bytes above 0`,
    );
  }
  checkMemoryOptions(options);
  config = parseConfig(config, "the config");
  let least: MemoryPlan | undefined;
  for (const staged of options.staged ? [true] : [false, true]) {
    least = await planMemory(config, { ...options, staged });
    if (least.peak <= maxBytes) return least;
  }
  const smaller: string[] = [];
  for (const type of WEIGHT_TYPES.slice(WEIGHT_TYPES.indexOf(least!.type) + 1)) {
    const { peak } = await planMemory(config, { ...options, type, staged: true });
    if (peak <= maxBytes) smaller.push(`${type} (${formatBytes(peak)})`);
  }
  const advice = smaller.length > 0
    ? `it would fit as ${smaller.join(" or ")}`
    : "use a smaller size, batch or model";
  throw new OutOfMemoryError(
    "over-budget",
    `Cannot fit ${config.name} into ${formatBytes(maxBytes)}: it needs ${
      formatBytes(least!.peak)
    } even in stages; ${advice}`,
    smaller.length > 0 ? { hint: "smaller-type" } : {},
  );
}
