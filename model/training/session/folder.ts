import { dirname, join } from "../../../deps/@std/path.ts";
import { type Device, safetensorsHeader, type TensorFile } from "../../../engine/mod.ts";
import type { Part } from "../../checkpoint/check_tensors.ts";
import { makeFolder, readSmallFile, writeFileAtomic } from "../../checkpoint/files.ts";
import { openFolder } from "../../checkpoint/folder.ts";
import { JSON_LIMIT } from "../../checkpoint/place.ts";
import type { Pixels } from "../../image/enlarge.ts";
import { usualBatch } from "../../batch.ts";
import { InfinityModel } from "../../infinity.ts";
import { compactType } from "../../parts/compact_type.ts";
import type { TrainConfig } from "../config/types.ts";
import { isMarked, isUnused, LOG } from "./place.ts";

/** Path of the adapters in the folder of a training. */
export function loraPath(output: string): string {
  return join(output, "lora.safetensors");
}

/**
 * Makes the folder of a training, with what is missing in it of the weights that training begins with.
 *
 * @throws {FileError} A file cannot be read or written.
 */
export async function prepareFolder(config: TrainConfig, output: string): Promise<void> {
  await makeFolder(output);
  // what a training copied that did nothing may be of another model
  const stale = await isUnused(output);
  // marks the folder, before anything else is in it
  if (!await isMarked(output)) await writeFileAtomic(join(output, LOG), new Uint8Array());
  const { model, init, transformer: { lora } } = config;
  if (lora.rank > 0) return;
  for (const part of init === null ? [] : ["vae", "transformer", "text_encoder"] as const) {
    const name = model.files[part];
    if (!stale && await openFolder(output).exists(name)) continue;
    await copyPart(openFolder(init!), name, output, part);
  }
}

/**
 * Writes what else a model folder has: config.json, and the tokenizer of prompts.
 *
 * @throws {FileError} A file cannot be read or written.
 */
export async function describeFolder(
  { model, model_json, words }: TrainConfig,
  output: string,
): Promise<void> {
  const json = new TextEncoder().encode(`${JSON.stringify(model_json, null, 2)}\n`);
  const tokenizer = join(output, model.files.tokenizer);
  // before anything is written: it may be the very file
  const bytes = await readSmallFile(words, JSON_LIMIT);
  await writeFileAtomic(join(output, "config.json"), json);
  await makeFolder(dirname(tokenizer));
  await writeFileAtomic(tokenizer, bytes);
}

/** Copies a file of weights; shards become one file. */
async function copyPart(
  from: ReturnType<typeof openFolder>,
  name: string,
  output: string,
  part: Part,
): Promise<void> {
  if (part === "text_encoder" && !await from.exists(name)) return;
  const file = await from.tensors(name);
  try {
    await makeFolder(dirname(join(output, name)));
    await writeFileAtomic(join(output, name), bytesOf(file));
  } finally {
    file.close();
  }
}

async function* bytesOf(file: TensorFile): AsyncGenerator<Uint8Array> {
  const tensors = [...file.tensors.values()];
  yield safetensorsHeader(tensors, file.metadata);
  for (const { name } of tensors) {
    for await (const { bytes } of file.chunks(name)) yield bytes;
  }
}

/**
 * Generates an image of each prompt with what a folder of training holds now.
 *
 * @returns No images if parts of the model are missing, or without prompts.
 */
export async function sampleFolder(
  device: Device,
  config: TrainConfig,
  output: string,
): Promise<{ readonly images: readonly Pixels[]; readonly captions: readonly string[] }> {
  const { sample_prompts: captions, transformer, model, init } = config;
  const adapted = transformer.lora.rank > 0;
  const folder = adapted ? init! : output;
  const parts = [model.files.vae, model.files.transformer, model.files.text_encoder];
  const there = await Promise.all(parts.map((name) => openFolder(folder).exists(name)));
  if (captions.length === 0 || there.includes(false)) return { images: [], captions: [] };
  // what learns stays in memory, too
  device.trim();
  const type = await compactType(device, openFolder(folder), model.files.transformer);
  const lora = adapted ? [{ path: loraPath(output) }] : [];
  using sampler = await InfinityModel.load(folder, { device, type, staged: true, lora });
  const how = { type: sampler.type, staged: true };
  const bounds = { images: captions.length };
  const size = await usualBatch(sampler.config, how, bounds, device.capabilities);
  const images: Pixels[] = [];
  for (let seed = 0; seed < captions.length; seed += size) {
    const prompt = captions.slice(seed, seed + size);
    images.push(...(await sampler.generate({ prompt, seed })).images);
  }
  return { images, captions };
}
