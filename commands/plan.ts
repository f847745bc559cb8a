import { bytes, help, on, parseFlags, path, type Spec, whole } from "./flags/flags.ts";
import { FLAGS } from "./flags/generate_flags.ts";
import type { Io } from "./io/io.ts";
import { folderConfig, folderType, isPreset, presetConfig } from "./io/model.ts";
import { formatBytes } from "../engine/mod.ts";
import type { MemoryOptions } from "../model/memory_plan.ts";
import type { ModelConfig } from "../model/config/types.ts";

const SPEC = {
  name: "plan",
  summary: "Says what a generation takes of memory and arithmetic, before anything is allocated.",
  words: "",
  flags: {
    "model": {
      alias: "m",
      type: { ...path, value: "DIR|PRESET" },
      help: "Model folder, or a preset such as 2b (emoji-nano)",
    },
    "width": FLAGS.width,
    "height": FLAGS.height,
    "schedule": FLAGS.schedule,
    "batch-count": { alias: "b", type: whole, help: "Images at once (1)" },
    "cfg-scale": FLAGS["cfg-scale"],
    "cfg-until": FLAGS["cfg-until"],
    "fast": FLAGS.fast,
    "edit": { type: on, help: "Encode an image first, as --init-img does" },
    "prompt-tokens": { type: whole, help: "Tokens of the prompt (the most the model takes)" },
    "type": FLAGS.type,
    "staged": { type: on, help: "Keep only the part in memory that works" },
    "max-vram": { type: bytes, help: "Stage if that is what fits, and say what would" },
    "json": { type: on, help: "Print one JSON object" },
  },
  notes: ["Example: bitwise plan --model 2b -W 1024 -H 1024 --type f16 --max-vram 10G"],
} as const satisfies Spec;

/** Arithmetic of the transformer in TFLOP. */
async function work(config: ModelConfig, options: MemoryOptions) {
  const { makePlan } = await import("../model/generate/plan.ts");
  const { transformerFlops } = await import("../model/generate/flops.ts");
  const { promptTokens = config.tokenizer.max_length } = options;
  const scales = transformerFlops(config.transformer, makePlan(config, options, 1), promptTokens);
  const tera = (of: (scale: typeof scales[number]) => number) =>
    scales.reduce((sum, scale) => sum + of(scale), 0) / 1e12;
  const attention = tera(({ selfAttention, crossAttention }) => selfAttention + crossAttention);
  return { linear: tera(({ linear }) => linear), attention };
}

/** `bitwise plan`: memory per stage, without a GPU. */
export async function plan(args: readonly string[], io: Io): Promise<number> {
  const { values: given, help: asked } = parseFlags(SPEC, args);
  if (asked) return io.out(help(SPEC)), 0;
  const { model } = given;
  const preset = model !== undefined && await isPreset(model);
  const config = preset ? await presetConfig(model) : await folderConfig(model);
  const { fitMemory, planMemory } = await import("../model/memory_plan.ts");
  const options = {
    type: given.type ?? (preset ? undefined : await folderType(model)),
    staged: given.staged,
    batchCount: given["batch-count"],
    cfgScale: given["cfg-scale"],
    cfgUntil: given["cfg-until"],
    fast: given.fast,
    schedule: given.schedule,
    width: given.width,
    height: given.height,
    promptTokens: given["prompt-tokens"],
    edit: given.edit,
  };
  const limit = given["max-vram"];
  const made = limit === undefined
    ? await planMemory(config, options)
    : await fitMemory(config, options, limit);
  const flops = await work(config, options);
  if (given.json) return io.out(JSON.stringify({ model: config.name, ...made, flops })), 0;

  const columns = ["weights", "cache", "workspace", "peak"] as const;
  const cell = (text: string) => text.padStart(11);
  io.out(`${config.name} as ${made.type}, ${made.staged ? "staged" : "all parts in memory"}`);
  io.out("stage      " + columns.map(cell).join(""));
  for (const stage of made.stages) {
    io.out(stage.stage.padEnd(11) + columns.map((c) => cell(formatBytes(stage[c]))).join(""));
  }
  io.out(`Peak ${formatBytes(made.peak)}`);
  if (!made.staged && limit === undefined) {
    const staged = await planMemory(config, { ...options, staged: true });
    io.out(`With --staged ${formatBytes(staged.peak)}`);
  }
  const [linear, attention] = [flops.linear, flops.attention].map((n) => +n.toPrecision(3));
  io.out(`Transformer ${linear} TFLOP of linear layers, ${attention} of attention`);
  return 0;
}
