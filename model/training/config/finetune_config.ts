import { FileError, quote } from "../../../engine/mod.ts";
import type { FloatType } from "../../../kernels/linear/weight_types.ts";
import { parseTrainFile, resolveTrainConfig } from "./train_config.ts";
import type { DataConfig, TrainConfig } from "./types.ts";

/** How a model is trained further. */
export interface FinetuneOptions {
  /** Rank of adapters to train (LoRA); the weights themselves are trained if absent or 0. */
  readonly lora?: number | undefined;
  /** Steps; 500 if neither steps nor minutes are given. */
  readonly steps?: number | undefined;
  /** Minutes after which training ends, if its steps have not ended before. */
  readonly minutes?: number | undefined;
  /** Images of a forward and backward pass; 8 if absent. */
  readonly batch?: number | undefined;
  /** Passes whose gradients make one step; 1 if absent. */
  readonly accumulate?: number | undefined;
  /** Whether blocks are computed again in the backward pass, for less memory; false if absent. */
  readonly recompute?: boolean | undefined;
  /** Scales, from the first, that are learnt; all if absent. */
  readonly scales?: number | undefined;
  /** Type of activations; `f32` if absent. */
  readonly dtype?: FloatType | undefined;
  /** Highest learning rate; 1e-4 if absent, with adapters 1e-3. */
  readonly learningRate?: number | undefined;
  /** Whether the next image is taken where one cannot be read; false if absent: training stops there. */
  readonly skipBroken?: boolean | undefined;
  /** Prompts of samples; none are made if absent. */
  readonly prompts?: readonly string[] | undefined;
}

/** Steps of a training that is told neither steps nor minutes. */
const STEPS = 500;

/**
 * Makes the config of a training that goes on from a model with images of one's own, for the stage `transformer`.
 *
 * @example
 * ```ts ignore
 * import { finetuneConfig, train } from "@bitwise/infinity/training";
 *
 * const config = await finetuneConfig("emoji-nano", "pictures", { lora: 8, minutes: 5 });
 * const { files: [adapters] } = await train(config, "transformer", { output: "models/style" });
 * ```
 *
 * @param model A model by its name or folder.
 * @param data A folder of images: see `data.kind` in docs/training.md. What is in it tells the kind.
 * @throws {FileError} `file-not-found`: the folder or the model does not exist.
 * @throws {ConfigError} `bad-value`: an option is out of range.
 */
export async function finetuneConfig(
  model: string,
  data: string,
  options: FinetuneOptions = {},
): Promise<TrainConfig> {
  const { lora = 0, minutes, steps, batch = 8, accumulate = 1, recompute = false } = options;
  const { scales, dtype = "f32", learningRate, skipBroken, prompts = [] } = options;
  const json = {
    init: model,
    data: { kind: await kindOf(data), path: data, broken: skipBroken ? "skip" : "stop" },
    transformer: {
      ...minutes !== undefined && { minutes },
      ...(steps !== undefined || minutes === undefined) && { steps: steps ?? STEPS },
      batch,
      accumulate,
      recompute,
      dtype,
      ...scales !== undefined && { train_scales: scales },
      learning_rate: learningRate ?? (lora > 0 ? 1e-3 : 1e-4),
      warmup: 20,
      // an average would still be near the weights that it began with
      ema: 0,
      text_encoder: "frozen",
      lora: { rank: lora },
    },
    sample_prompts: prompts,
    sample_every: 100,
    checkpoint_every: 100,
  };
  return await resolveTrainConfig(parseTrainFile(json, "the options"), ".", "the options");
}

/** Tells how images are stored in a folder. */
async function kindOf(folder: string): Promise<DataConfig["kind"]> {
  const names = new Set<string>();
  try {
    for await (const { name } of Deno.readDir(folder)) names.add(name);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "it does not exist"
      : cause instanceof Deno.errors.NotADirectory
      ? "it is a file"
      : (cause as Error).message.split("\n")[0];
    throw new FileError(
      "file-not-found",
      `Cannot train on ${quote(folder)}: ${why}; give a folder of images and captions`,
      { cause },
    );
  }
  if (names.has("sprites_alpha.png")) return "scenes";
  if (names.has("captions.json")) return "sheet";
  return [...names].some((name) => name.endsWith(".jsonl")) ? "jsonl" : "folder";
}
