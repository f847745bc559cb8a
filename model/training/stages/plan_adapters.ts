import { Device, dryGpu } from "../../../engine/mod.ts";
import type { FloatType, WeightType } from "../../../kernels/linear/weight_types.ts";
import type { ModelConfig } from "../../config/types.ts";
import { WordTokenizer } from "../../parts/synthetic.ts";
import { blankFolder } from "../../release/blank_folder.ts";
import { parseTrainFile } from "../config/train_config.ts";
import type { TrainConfig } from "../config/types.ts";
import type { StepSize } from "../run/plan.ts";
import { type OpenTask, planStage } from "./plan_stage.ts";
import { TransformerTask } from "./transformer_task.ts";

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
 * Plans the memory of finetuning a model with adapters (LoRA) on images of at most 1000 captions: runs two steps of it,
 * with zeros for weights, on a GPU that computes nothing.
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
  const folder = blankFolder(model, type);
  const words = new WordTokenizer(model.text_encoder?.vocab_size ?? 4, model.tokenizer.max_length);
  using device = await Device.open({ gpu: dryGpu(false), debug: { level: 0 } });
  const open: OpenTask<TransformerTask> = (dry, config, data) =>
    TransformerTask.open(dry, config, { folder, init: folder, words }, data);
  const plan = planStage(device, config, "transformer", open, true);
  return await plan({ batch, recompute });
}
