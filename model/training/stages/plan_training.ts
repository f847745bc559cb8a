import { Device, dryGpu } from "../../../engine/mod.ts";
import type { FloatType, WeightType } from "../../../kernels/linear/weight_types.ts";
import { openFolder } from "../../checkpoint/folder.ts";
import type { ModelConfig } from "../../config/types.ts";
import { compactType } from "../../parts/compact_type.ts";
import { WordTokenizer } from "../../parts/synthetic.ts";
import { blankFolder } from "../../release/blank_folder.ts";
import { parseTrainFile } from "../config/train_config.ts";
import type { Stage, TrainConfig } from "../config/types.ts";
import type { PlanSize, StepSize } from "../run/plan.ts";
import type { Beginning } from "./beginning.ts";
import { checkText, openStageData, openTask } from "./open_task.ts";
import { type DataPlan, dataPlan, planStage } from "./plan_stage.ts";

/** A finetuning with adapters to plan for. */
export interface AdapterPlanOptions extends Partial<StepSize> {
  /** Rank of the adapters. */
  readonly rank: number;
  /** How the model is stored; `f16` if absent. */
  readonly type?: WeightType | undefined;
  /** Type of activations; `f32` if absent. */
  readonly dtype?: FloatType | undefined;
  /** Scales, from the first, that are learnt; all if absent. */
  readonly scales?: number | undefined;
}

/**
 * Returns what plans the memory of a stage of a training: it runs two steps with zeros for weights, on a GPU that computes
 * nothing, and tells most bytes that are held at once, without the samples that a training makes now and then. The data
 * are opened, for what they hold on the GPU counts. Of `init`, it is looked up how the transformer is stored.
 *
 * @example
 * ```ts ignore
 * const config = await readTrainConfig("config.json");
 * const plan = await planTraining(config, "tokenizer");
 * console.log(await plan(config.tokenizer), await plan({ batch: 8, recompute: true }));
 * ```
 *
 * @throws {FileError | CheckpointError} The data or the weights of `init` are missing or damaged.
 * @throws {InputError} `no-text-encoder`: there is none to train a transformer with.
 * @throws {OutOfMemoryError} The plan does, `binding-too-large`, if a tensor exceeds the largest binding.
 */
export async function planTraining(config: TrainConfig, stage: Stage): Promise<PlanSize> {
  checkText(config, stage);
  const { init, model: { files } } = config;
  using device = await dryDevice();
  const stored = init !== null && stage === "transformer"
    ? await compactType(device, openFolder(init), files.transformer)
    : undefined;
  const data = await openStageData(device, config, stage);
  const plan = dataPlan(device, data);
  data.dispose();
  return (size) => planBlank(config, stage, stored ?? "f32", plan, size);
}

/**
 * Plans the memory of finetuning a model with adapters (LoRA) on images of at most 1000 captions, as
 * {@link planTraining} does, but without the features of the images: each has 4 · h · w · d bytes, and all at most
 * 256 MiB.
 *
 * @returns Most bytes that are held at once, without the samples that a training makes now and then.
 * @throws {ConfigError} `bad-value`: an option is wrong.
 * @throws {OutOfMemoryError} `binding-too-large`: a tensor exceeds the largest binding.
 */
export async function planAdapters(
  model: ModelConfig,
  { rank, type = "f16", dtype, scales, batch = 1, recompute = false }: AdapterPlanOptions,
): Promise<number> {
  const transformer = {
    ...dtype && { dtype },
    ...scales && { train_scales: scales },
    batch,
    recompute,
    lora: { rank },
    text_encoder: "frozen",
    ema: 0,
  };
  const json = { init: model.name, data: { path: "." }, transformer };
  const file = parseTrainFile(json, "the plan");
  const { name } = model;
  const config: TrainConfig = { ...file, name, model, model_json: {}, init: name, words: "" };
  const data = { known: true, held: 0, sizes: [model.image], pictures: null };
  return await planBlank(config, "transformer", type, data, config.transformer);
}

/** A device that computes nothing. */
function dryDevice(): Promise<Device> {
  return Device.open({ gpu: dryGpu(false), debug: { level: 0 } });
}

/** Plans a stage of a model that is stored as `type`, with prompts of arbitrary words. */
async function planBlank(
  config: TrainConfig,
  stage: Stage,
  type: WeightType,
  data: DataPlan,
  { batch, recompute }: StepSize,
): Promise<number> {
  const { model } = config;
  const folder = blankFolder(model, type);
  const words = new WordTokenizer(model.text_encoder?.vocab_size ?? 4, model.tokenizer.max_length);
  const begun: Beginning = { folder, init: config.init === null ? null : folder, words };
  using device = await dryDevice();
  return await planStage(device, config, stage, openTask(stage, begun), data)({ batch, recompute });
}
