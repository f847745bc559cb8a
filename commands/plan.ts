import { command } from "./command.ts";
import { UsageError } from "./flags/flags.ts";
import { FLAGS } from "./flags/generate_flags.ts";
import { STEP_FLAGS } from "./flags/training_flags.ts";
import { bytes, integer, integerFrom, on, path } from "./flags/types.ts";
import { plannedBatchSize } from "./generating/batches.ts";
import { planFinetuning } from "./training/plan_finetuning.ts";
import { planTrainingOf } from "./training/plan_training.ts";
import { outJson, warn } from "./io/io.ts";
import { chooseModel, isPreset, type ModelChoice } from "./io/model.ts";
import { formatBytes } from "../engine/mod.ts";
import type { Plan } from "../model/generate/plan/plan.ts";
import type { MemoryOptions, MemoryPlan } from "../model/memory_plan.ts";
import type { ModelConfig } from "../model/config/types.ts";

/** Flags that fit a plan of finetuning, and of a training; all but theirs fit that of a generation. */
const FIT = {
  lora: ["lora", "model", "type", "batch-count", "max-vram", "json", ...Object.keys(STEP_FLAGS)],
  train: ["train", "max-vram", "json"],
};

/** Refuses flags that would change nothing. */
function checkFlags(given: object): void {
  for (const kind of ["train", "lora"] as const) {
    if (!(kind in given)) continue;
    const found = Object.keys(given).find((flag) => !FIT[kind].includes(flag));
    if (found === undefined) return;
    throw new UsageError(`Cannot use --${found} with --${kind}`);
  }
  const found = Object.keys(STEP_FLAGS).find((flag) => flag in given);
  if (found !== undefined) throw new UsageError(`Cannot use --${found} without --lora`);
}

/** `bitwise plan`: memory per stage, without a GPU. */
export const plan = command(
  {
    name: "plan",
    summary: "Computes the memory and arithmetic of a generation, or the memory of a training.",
    words: "",
    flags: {
      "model": {
        alias: "m",
        type: { ...path, value: "NAME|DIR" },
        help: "Name of a model or preset such as 2b, or a model folder (emoji-scenes)",
      },
      "width": FLAGS.width,
      "height": FLAGS.height,
      "schedule": FLAGS.schedule,
      "batch-count": { alias: "b", type: integerFrom(1, 32_767), help: "Number of images (1)" },
      "cfg-scale": FLAGS["cfg-scale"],
      "cfg-until": FLAGS["cfg-until"],
      "fast": FLAGS.fast,
      "edit": { type: on, help: "Encode an image first, as --init-img does" },
      "prompt-tokens": { type: integer, help: "Tokens of the prompt (the most the model takes)" },
      "type": FLAGS.type,
      "staged": { type: on, help: "Keep only the working part of the model in memory" },
      "max-vram": { type: bytes, help: "Stay within SIZE: smaller batches, or one part at a time" },
      "lora": {
        type: integerFrom(1, 1024),
        help: "Plan finetuning with adapters of rank N instead, with --batch-count images a pass",
      },
      ...STEP_FLAGS,
      "train": {
        type: { ...path, value: "CONFIG.json" },
        help: "Plan the stages of a training instead",
      },
      "json": { type: on, help: "Print one JSON object" },
    },
    notes: [
      "Example: bitwise plan --model 2b -W 1024 -H 1024 --type f16 --max-vram 10G",
      "Example: bitwise plan --model 2b --type q8_0 --lora 16 --recompute --dtype f16",
      "Example: bitwise plan --train examples/training/emoji-scenes.json --max-vram 24G",
    ],
  },
  async (given, _words, io) => {
    checkFlags(given);
    if (given.train !== undefined) return await planTrainingOf(given.train, given, io);
    const { model } = given;
    const preset = model !== undefined && await isPreset(model);
    const choice = await chooseModel(preset ? { synthetic: model } : { model }, io);
    if (given.lora !== undefined) return await planFinetuning(choice, given, io);
    const { "batch-count": images = 1, "max-vram": maxBytes, staged } = given;
    const options = {
      type: given.type ?? choice.storedType,
      cfgScale: given["cfg-scale"],
      cfgUntil: given["cfg-until"],
      fast: given.fast,
      schedule: given.schedule,
      width: given.width,
      height: given.height,
      promptTokens: given["prompt-tokens"],
      edit: given.edit,
      staged,
    };
    const made = await planRun(choice, options, images, maxBytes);
    const { makePlan } = await import("../model/generate/plan/plan.ts");
    const plan = makePlan(choice.config, options, 1);
    for (const line of plan.warnings) warn(io, line);
    const flops = await work(choice.config, plan, options.promptTokens);
    const { name } = choice.config;
    if (given.json) return outJson(io, { model: name, ...made, flops }), 0;
    for (const line of describe(name, made)) io.out(line);
    if (images > 1) {
      const batches = Math.ceil(images / made.batch);
      const how = batches === 1 ? "in one batch" : `in ${batches} batches of at most ${made.batch}`;
      io.out(`${images} images ${how}`);
    }
    if (!made.staged && maxBytes === undefined) {
      const { planMemory } = await import("../model/memory_plan.ts");
      const inStages = { ...options, batchCount: made.batch, staged: true };
      io.out(`With --staged ${formatBytes((await planMemory(choice.config, inStages)).peak)}`);
    }
    const [linear, attention] = [flops.linear, flops.attention].map((n) => +n.toPrecision(3));
    io.out(`Transformer ${linear} TFLOP of linear layers, ${attention} of attention, per image`);
    return 0;
  },
);

/** Plans as `generate` does: stages if one image asks for it, then the largest batch that fits. */
async function planRun(
  choice: ModelChoice,
  options: MemoryOptions,
  images: number,
  maxBytes: number | undefined,
): Promise<MemoryPlan & { readonly batch: number }> {
  const { fitMemory, planMemory } = await import("../model/memory_plan.ts");
  const { config } = choice;
  const one = { ...options, batchCount: 1 };
  const { staged } = maxBytes === undefined ? one : await fitMemory(config, one, maxBytes);
  const batch = images === 1
    ? 1
    : await plannedBatchSize(choice, { ...options, staged }, { images, maxBytes });
  return { ...await planMemory(config, { ...options, staged, batchCount: batch }), batch };
}

/** Returns the arithmetic of the transformer for one image, in TFLOP. */
async function work(
  { tokenizer, transformer }: ModelConfig,
  plan: Plan,
  promptTokens = tokenizer.max_length,
) {
  const { transformerFlops } = await import("../model/generate/plan/flops.ts");
  const scales = transformerFlops(transformer, plan, promptTokens);
  const tera = (of: (scale: typeof scales[number]) => number) =>
    scales.reduce((sum, scale) => sum + of(scale), 0) / 1e12;
  const attention = tera(({ selfAttention, crossAttention }) => selfAttention + crossAttention);
  return { linear: tera(({ linear }) => linear), attention };
}

function describe(name: string, { type, staged, stages, peak }: MemoryPlan): string[] {
  const columns = ["weights", "cache", "workspace", "peak"] as const;
  const cell = (text: string) => text.padStart(11);
  return [
    `${name} as ${type}, ${staged ? "staged" : "all parts in memory"}`,
    "stage      " + columns.map(cell).join(""),
    ...stages.map((stage) =>
      stage.stage.padEnd(11) + columns.map((c) => cell(formatBytes(stage[c]))).join("")
    ),
    `Peak ${formatBytes(peak)}`,
  ];
}
