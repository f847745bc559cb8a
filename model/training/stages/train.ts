import { basename, dirname, join } from "../../../deps/@std/path.ts";
import {
  CheckpointError,
  Device,
  quote,
  type Tensor,
  type TensorFile,
  type Tuning,
} from "../../../engine/mod.ts";
import { baseFingerprint } from "../../checkpoint/lora_file.ts";
import { makeFolder } from "../../checkpoint/files.ts";
import { openFolder } from "../../checkpoint/folder.ts";
import { sha256 } from "../../checkpoint/sha256.ts";
import type { Pixels } from "../../image/enlarge.ts";
import { savedTuning, trainingTuning } from "../../parts/tuning.ts";
import type { Stage, TrainConfig } from "../config/types.ts";
import type { DataSource } from "../data/base/source.ts";
import type { Optimiser } from "../optimiser/optimiser.ts";
import type { TrainingOptions, TrainingResult } from "../report/types.ts";
import { FolderLock } from "../session/folder_lock.ts";
import { explainMemory, type Facts, runStage, type StageWork } from "../session/run_stage.ts";
import { describeFolder, loraPath, prepareFolder, sampleFolder } from "../session/folder.ts";
import { checkFolder, checkPlace } from "../session/place.ts";
import { saveLora, saveWeights } from "../session/weights.ts";
import { type Beginning, openBeginning } from "./beginning.ts";
import { checkText, openStageData, openTask } from "./open_task.ts";
import { dataPlan, planStage } from "./plan_stage.ts";
import { TokenizerTask } from "./tokenizer_task.ts";
import type { TransformerTask } from "./transformer_task.ts";

/** Reconstructions on a sheet of samples. */
const RECONSTRUCTIONS = 8;

/** What a stage is made of. */
interface Opened extends StageWork {
  readonly task: TokenizerTask | TransformerTask;
}

/**
 * Trains a stage of a model: the visual tokenizer, then the transformer with its text encoder, then perhaps the decoder
 * alone. The folder becomes a model folder, with a log, curves, samples and checkpoints besides.
 *
 * @example
 * ```ts ignore
 * import { readTrainConfig, train } from "@bitwise/infinity/training";
 *
 * const config = await readTrainConfig("config.json");
 * for (const stage of ["tokenizer", "transformer"] as const) {
 *   await train(config, stage, { output: "my-model" });
 * }
 * ```
 *
 * @throws {TrainingError} `not-finite`: a loss or gradient is NaN; the message says where that began.
 * @throws {FileError | CheckpointError | ConfigError} Something is missing or wrong; the message says what.
 * @throws The reason of the signal, after a checkpoint.
 */
export async function train(
  config: TrainConfig,
  stage: Stage,
  options: TrainingOptions,
): Promise<TrainingResult> {
  const { output, gpu, onWarning } = options;
  // all that can be refused is refused before anything is written
  await checkFolder(output);
  await checkPlace(options, stage);
  await checkParts(config, stage, output);
  const begun = await openBeginning(config, adapts(config, stage) ? config.init! : output);
  using device = await Device.open(gpu ? { gpu } : {});
  device.tuning = await tuningOf(device, config, stage, options);
  const data = await openStageData(device, config, stage, onWarning);
  try {
    await using _lock = await FolderLock.take(output);
    await prepareFolder(config, output);
    const work = await openStage(device, config, stage, options, begun, data);
    try {
      return await runStage(device, config, stage, options, work);
    } finally {
      work.task.dispose();
    }
  } finally {
    data.dispose();
  }
}

/** What was measured on this adapter, and with f16 what proves to be right on its tensor cores. */
async function tuningOf(
  device: Device,
  { model: { transformer, text_encoder }, ...config }: TrainConfig,
  stage: Stage,
  { gpu, onWarning }: TrainingOptions,
): Promise<Tuning> {
  if (stage !== "transformer" || config[stage].dtype === "f32") {
    return await savedTuning(device, onWarning);
  }
  const { embed_dim: C, num_heads, text_attn_pool_heads } = transformer;
  const widths = new Set([
    C / num_heads,
    C / text_attn_pool_heads,
    text_encoder?.d_kv ?? C / num_heads,
  ]);
  return await trainingTuning(device, gpu, [...widths], onWarning);
}

/** Whether a stage makes adapters of a model that stays as it is. */
function adapts({ transformer: { lora } }: TrainConfig, stage: Stage): boolean {
  return stage === "transformer" && lora.rank > 0;
}

/** Refuses a stage whose model lacks what an earlier one makes, or what it needs. */
async function checkParts(config: TrainConfig, stage: Stage, output: string): Promise<void> {
  checkText(config, stage);
  const { model: { files }, init } = config;
  // adapters alone make no model folder; other trainings copy what their folder lacks
  const adapters = adapts(config, stage);
  const folders = [...adapters ? [] : [output], ...init === null ? [] : [init]];
  const has = async (name: string) => {
    const found = await Promise.all(folders.map((folder) => openFolder(folder).exists(name)));
    return found.includes(true);
  };
  const place = quote(folders[0] ?? output);
  const refuse = (why: string): never => {
    throw new CheckpointError("no-part", `Cannot train the ${stage} in ${place}: ${why}`);
  };
  if (stage !== "tokenizer" && !await has(files.vae)) {
    refuse("it has no visual tokenizer; train that first");
  }
  if (stage === "decoder" && config.decoder.drawn > 0 && !await has(files.transformer)) {
    refuse("it has no transformer, which is to draw; train that first, or set drawn to 0");
  }
}

async function openStage(
  device: Device,
  config: TrainConfig,
  stage: Stage,
  options: TrainingOptions,
  begun: Beginning,
  data: DataSource,
): Promise<Opened> {
  const { output, signal, onPrepare } = options;
  const plan = planStage(device, config, stage, openTask(stage, begun), dataPlan(device, data));
  const open = openTask(stage, begun, { signal, onPrepare });
  const task = await open(device, config, data)
    .catch((error) => explainMemory(error, device, config, stage, plan));
  const adapters = adapts(config, stage);
  const begin = () => adapters ? Promise.resolve() : describeFolder(config, output);
  const facts = await factsOf(config, stage, output, data).catch((error) => {
    task.dispose();
    throw error;
  });
  if (task instanceof TokenizerTask) {
    return {
      task,
      facts,
      plan,
      begin,
      save: async (optimiser) => [
        await savePart(device, config, "vae", output, optimiser, (name) => !isDiscriminator(name)),
      ],
      samples: () => reconstructions(device, task),
    };
  }
  const { base } = facts;
  return {
    task,
    facts,
    plan,
    begin,
    save: (optimiser) =>
      base !== undefined
        ? saveAdapters(device, config, output, optimiser, base)
        : saveTransformer(device, config, output, optimiser),
    samples: () => sampleFolder(device, config, output),
  };
}

/** Whether a parameter is of the discriminator, which no model folder has. */
function isDiscriminator(name: string): boolean {
  return name.startsWith("discriminator.");
}

/** Writes a part of the model: trained tensors, and those of the file that was there. */
async function savePart(
  device: Device,
  { model }: TrainConfig,
  part: "vae" | "transformer" | "text_encoder",
  output: string,
  optimiser: Optimiser,
  keep?: (name: string) => boolean,
): Promise<string> {
  const folder = openFolder(output);
  const name = model.files[part];
  const base = await folder.exists(name) ? await folder.tensors(name) : null;
  const path = join(output, name);
  await makeFolder(dirname(path));
  try {
    await saveWeights(device, path, optimiser, { base, ...keep && { keep } });
  } finally {
    base?.close();
  }
  return path;
}

/** Writes a transformer, and its text encoder if that learns too; returns their paths. */
export async function saveTransformer(
  device: Device,
  config: TrainConfig,
  output: string,
  optimiser: Optimiser,
): Promise<string[]> {
  const isText = (name: string) => /^(shared|encoder)\./.test(name);
  const joint = optimiser.parameters.specs.some(({ name }) => isText(name));
  const save = (part: "transformer" | "text_encoder", keep: (name: string) => boolean) =>
    savePart(device, config, part, output, optimiser, keep);
  const files = [await save("transformer", (name) => !isText(name))];
  if (joint) files.push(await save("text_encoder", isText));
  return files;
}

/** What a stage is made from, besides its config. */
async function factsOf(
  { model: { files }, init, transformer }: TrainConfig,
  stage: Stage,
  output: string,
  { count }: DataSource,
): Promise<Facts> {
  const images = { images: count };
  if (stage === "tokenizer") return images;
  const adapted = stage === "transformer" && transformer.lora.rank > 0;
  const [folder, name] = adapted ? [init!, files.transformer] : [output, files.vae];
  const file = await openFolder(folder).tensors(name);
  try {
    if (adapted) return { ...images, base: await baseFingerprint(file) };
    return { ...images, vae: await encoderFingerprint(file) };
  } finally {
    file.close();
  }
}

/** What tells the encoder of a tokenizer from others: 16 digits of SHA-256 of its vectors. */
async function encoderFingerprint(file: TensorFile): Promise<string> {
  const vectors = [...file.tensors.values()].filter(({ name, shape }) =>
    name.startsWith("encoder.") && shape.length === 1
  );
  const values: Float32Array[] = [];
  for (const { name } of vectors) values.push(await file.readFloat32(name));
  return sha256(values).slice(0, 16);
}

async function saveAdapters(
  device: Device,
  { init, transformer: { lora: { rank, alpha } } }: TrainConfig,
  output: string,
  optimiser: Optimiser,
  base: string,
): Promise<string[]> {
  const path = loraPath(output);
  await saveLora(device, path, optimiser, {
    rank,
    alpha: alpha ?? rank,
    base,
    baseName: basename(init!),
  });
  return [path];
}

/** Images above what they are reconstructed as. */
async function reconstructions(device: Device, task: TokenizerTask) {
  const { images, decoded } = await task.reconstruct(RECONSTRUCTIONS);
  const pairs = [await pixelsOf(device, images), await pixelsOf(device, decoded)];
  images.dispose();
  decoded.dispose();
  const sheet = pairs[0]!.flatMap((image, i) => [image, pairs[1]![i]!]);
  return { images: sheet, captions: sheet.map((_, i) => i % 2 ? "reconstruction" : "image") };
}

/** [B, H, W, 3] f32 from −1 to 1 as images of bytes. */
async function pixelsOf(device: Device, images: Tensor): Promise<Pixels[]> {
  const [B = 0, height = 0, width = 0] = images.shape;
  const values = await device.read(images);
  return Array.from({ length: B }, (_, b) => {
    const rgba = new Uint8Array(4 * width * height).fill(255);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) {
        const value = values[(b * width * height + i) * 3 + c]!;
        rgba[4 * i + c] = (Math.min(1, Math.max(-1, value)) + 1) / 2 * 255;
      }
    }
    return { width, height, rgba };
  });
}
