import { join } from "../../deps/@std/path.ts";
import { FileError, quote } from "../../engine/mod.ts";
import {
  type DataConfig,
  parseTrainFile,
  resolveTrainConfig,
  type TrainConfig,
} from "../../model/training/mod.ts";

/** The flags of `finetune` that a config is made of. */
interface FinetuneGiven {
  readonly lora?: number;
  readonly batch?: number;
  readonly accumulate?: number;
  readonly recompute?: boolean;
  readonly scales?: number;
  readonly dtype?: "f32" | "f16";
  readonly "learning-rate"?: number;
  readonly "skip-broken"?: boolean;
  readonly prompt?: readonly string[];
}

/** Steps of a training that is told neither steps nor minutes. */
const STEPS = 500;

/** Makes the config of a training that goes on from a model. @throws {FileError} There are no images. */
export async function finetuneConfig(
  model: string,
  data: string,
  given: FinetuneGiven,
): Promise<TrainConfig> {
  const { lora: rank = 0, batch = 8, "learning-rate": rate, prompt = [] } = given;
  const { accumulate = 1, recompute = false, scales, dtype = "f32" } = given;
  const broken = given["skip-broken"] ? "skip" : "stop";
  const json = {
    init: model,
    data: { kind: await kindOf(data), path: data, broken },
    transformer: {
      steps: STEPS,
      batch,
      accumulate,
      recompute,
      dtype,
      ...scales !== undefined && { train_scales: scales },
      learning_rate: rate ?? (rank > 0 ? 1e-3 : 1e-4),
      warmup: 20,
      // an average would still be near the weights that it began with
      ema: 0,
      text_encoder: "frozen",
      lora: { rank },
    },
    sample_prompts: prompt,
    sample_every: 100,
    checkpoint_every: 100,
  };
  return await resolveTrainConfig(parseTrainFile(json, "the flags"), ".", "the flags");
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
      `Cannot train on ${quote(join(folder))}: ${why}; give a folder of images and captions`,
      { cause },
    );
  }
  if (names.has("sprites_alpha.png")) return "scenes";
  if (names.has("captions.json")) return "sheet";
  return [...names].some((name) => name.endsWith(".jsonl")) ? "jsonl" : "folder";
}
