import { Device, dryGpu, formatBytes, type MemoryRole, OutOfMemoryError } from "../engine/mod.ts";
import { InfinityModel } from "./infinity.ts";
import { WEIGHT_TYPES, type WeightType } from "../kernels/linear/weight_types.ts";
import type { ModelConfig } from "./config/types.ts";
import type { SamplingOptions } from "./generate/plan.ts";
import type { Stage } from "./generate/progress.ts";

/** What a generation is to be planned for. */
export interface MemoryOptions extends SamplingOptions {
  /** Storage of weights and KV cache; `f32` if absent. */
  readonly type?: WeightType;
  /** Whether only the part that works is in memory. */
  readonly staged?: boolean;
  /** Whether an image is encoded first, to be edited. */
  readonly edit?: boolean;
  /** Class of the adapter, which decides how weights are laid out; `gpu` if absent. */
  readonly adapter?: "cpu" | "gpu";
  /** Prompts; one if absent. */
  readonly prompts?: number;
  /** Tokens of each prompt, `</s>` counted; the longest that the model takes if absent. */
  readonly promptTokens?: number;
}

/** Memory at the peak of one stage, in bytes. */
export interface StageMemory {
  /** What works; `load` is the loading of all parts before the first image. */
  readonly stage: Stage | "load";
  /** Weights in memory, those of other parts and copies made while loading counted. */
  readonly weights: number;
  /** Keys and values of self-attention and cross-attention. */
  readonly cache: number;
  /** Activations and everything else in use. */
  readonly workspace: number;
  /** All bytes held, those kept for reuse counted. */
  readonly peak: number;
}

/** What a generation holds on the GPU. */
export interface MemoryPlan {
  /** Storage of weights. */
  readonly type: WeightType;
  /** Whether only the part that works is in memory. */
  readonly staged: boolean;
  /** The stages in their order. */
  readonly stages: readonly StageMemory[];
  /** Most bytes held at once. */
  readonly peak: number;
}

/** Reads a memory account, and remembers what it was made of at the peak of each stage. */
export class Ledger {
  /** The stages so far. */
  readonly stages: StageMemory[] = [];
  #live = { weights: 0, cache: 0, workspace: 0 };
  #held = 0;

  /** Begins with the stage `load`. */
  constructor() {
    this.enter("load");
  }

  /** The next stage begins. */
  enter(stage: StageMemory["stage"]): void {
    this.stages.push({ stage, ...this.#live, peak: this.#held });
  }

  /** Observes {@link Memory.observer}. */
  readonly observe = (role: MemoryRole, bytes: number, held: number): void => {
    this.#live[role] += bytes;
    this.#held = held;
    const last = this.stages.length - 1;
    if (held <= this.stages[last]!.peak) return;
    this.stages[last] = { stage: this.stages[last]!.stage, ...this.#live, peak: held };
  };
}

/**
 * Plans the memory of a generation before anything is allocated: the model runs on a GPU that computes nothing, and
 * its memory account is read. What is planned is therefore what happens.
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
 * @throws {InputError} as {@link InfinityModel.generate} does.
 * @throws {OutOfMemoryError} if a tensor is larger than any GPU's binding.
 */
export async function planMemory(
  config: ModelConfig,
  options: MemoryOptions = {},
): Promise<MemoryPlan> {
  const { type = "f32", staged = false, prompts = 1 } = options;
  const { promptTokens = config.tokenizer.max_length } = options;
  using device = await Device.open({ gpu: dryGpu(options.adapter === "cpu"), debug: { level: 0 } });
  const ledger = new Ledger();
  device.memory.observer = ledger.observe;
  using model = await InfinityModel.synthetic(config, { device, type, staged });
  const onStage = (stage: Stage) => ledger.enter(stage);
  const text = config.text_encoder
    // words are tokens, and `</s>` is one more
    ? { prompt: Array<string>(prompts).fill("word ".repeat(Math.max(1, promptTokens - 1))) }
    : { textFeatures: blankFeatures(config.transformer.text_channels, prompts, promptTokens) };
  const blank = { width: 1, height: 1, rgba: new Uint8Array(4) };
  await model.generate({ ...options, ...text, ...options.edit && { init: blank }, onStage });
  const stages = ledger.stages.filter(({ peak }) => peak > 0);
  return { type, staged, stages, peak: Math.max(...stages.map(({ peak }) => peak)) };
}

function blankFeatures(width: number, prompts: number, rows: number) {
  const lens = Array<number>(prompts).fill(rows);
  return { features: new Float32Array(prompts * rows * width), width, lens };
}

/**
 * The fastest plan within `maxBytes`: everything resident, else staged.
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
 * @throws {OutOfMemoryError} `over-budget`: neither fits; it says what the plan needs, and which types would fit.
 * @throws {InputError} as {@link InfinityModel.generate} does.
 */
export async function fitMemory(
  config: ModelConfig,
  options: MemoryOptions,
  maxBytes: number,
): Promise<MemoryPlan> {
  let least: MemoryPlan | undefined;
  for (const staged of [false, true]) {
    least = await planMemory(config, { ...options, staged });
    if (least.peak <= maxBytes) return least;
  }
  const smaller: string[] = [];
  for (const type of WEIGHT_TYPES.slice(WEIGHT_TYPES.indexOf(least!.type) + 1)) {
    const { peak } = await planMemory(config, { ...options, type, staged: true });
    if (peak <= maxBytes) smaller.push(`--type ${type} (${formatBytes(peak)})`);
  }
  const advice = smaller.length > 0
    ? `use ${smaller.join(" or ")}`
    : "use a smaller size, batch or model";
  throw new OutOfMemoryError(
    "over-budget",
    `Cannot fit ${config.name} into ${formatBytes(maxBytes)}: it needs ${
      formatBytes(least!.peak)
    } even in stages; ${advice}`,
  );
}
