/**
 * Makes a model folder from the files of a published model.
 *
 * @module
 */

import { basename, dirname, join } from "../../deps/@std/path.ts";
import { FileError, quote } from "../../engine/mod.ts";
import { attempt, readSmallFile, writeFileAtomic } from "../checkpoint/files.ts";
import { openFolder } from "../checkpoint/folder.ts";
import { JSON_LIMIT } from "../checkpoint/place.ts";
import { checkLoraBase, checkLoraShapes, type Lora, lowRanksOf } from "../checkpoint/lora.ts";
import type { LowRanks } from "../checkpoint/low_rank.ts";
import { checkTensors, type Part } from "../checkpoint/check_tensors.ts";
import { vaeOfName } from "../checkpoint/vae_match.ts";
import { parseConfig } from "../config/config.ts";
import type { Preset } from "../config/presets.ts";
import type { ModelConfig } from "../config/types.ts";
import { checkpointRoot } from "./checkpoint_root.ts";
import { convertFile, type ConvertOptions, openWeights } from "./convert.ts";
import { findRelease, type Release } from "./find_release.ts";

/** Options of {@linkcode assembleFolder}. */
export interface AssembleOptions extends Pick<ConvertOptions, "type" | "signal"> {
  /** Called before each tensor, with the file it goes to. */
  readonly onProgress?: (
    progress: { file: string; name: string; done: number; total: number },
  ) => void;
  /** Adapters that are added to the weights. */
  readonly loras?: readonly Lora[];
  /** Whether to make the folders above it, too. */
  readonly parents?: boolean;
}

/** Result of {@linkcode assembleFolder}. */
export interface AssembleReport {
  /** The model's config.json. */
  readonly config: ModelConfig;
  /** Files of weights, with their names in the folder. */
  readonly files: readonly { name: string; source: string; tensors: number; bytes: number }[];
}

/**
 * Makes a model folder: config.json, weights as Safetensors, tokenizer. Checks every file against the preset before
 * anything is written. The folder appears complete or not at all.
 *
 * @example
 * ```ts ignore
 * await assembleFolder("weights", "models/infinity-2b", findPreset("2b"), { type: "f16" });
 * ```
 *
 * @param source The folder of the published files, in any subfolders, or the path of each file.
 * @param target The folder to make, which must not exist or be empty.
 * @throws {CheckpointError} A file is missing or belongs to another model; the message says which is needed.
 * @throws {FileError} `exists`: `target` is not empty; or a file cannot be read or written.
 * @throws {DOMException} `AbortError`: the signal was aborted.
 */
export async function assembleFolder(
  source: string | Release,
  target: string,
  preset: Preset,
  options: AssembleOptions = {},
): Promise<AssembleReport> {
  options.signal?.throwIfAborted();
  await checkTarget(target);
  const release = typeof source === "string" ? await findRelease(source, preset) : source;
  return await assembleRelease(release, target, preset, options);
}

/** {@linkcode assembleFolder} for files that are known, and any config.json. */
export async function assembleRelease(
  release: Release,
  target: string,
  preset: Pick<Preset, "name" | "config">,
  { type, loras = [], signal, onProgress, parents }: AssembleOptions = {},
): Promise<AssembleReport> {
  signal?.throwIfAborted();
  await checkTarget(target);
  const config = parseConfig(preset.config, preset.name);
  // a VAE of unknown name must not be taken for the official one later
  const vae = vaeOfName(release.vae) === null ? "vae.safetensors" : config.files.vae;
  const files = { ...config.files, vae };
  const parts: [part: Part, from: string][] = [
    ["vae", release.vae],
    ["transformer", release.transformer],
  ];
  if (release.text) parts.push(["text_encoder", release.text.weights]);
  for (const [part, from] of parts) await checkSource(config, part, from, loras);
  if (release.text) await checkTokenizer(release.text.tokenizer);
  checkLoraShapes(loras, config);
  const added = lowRanksOf(loras);

  const temp = `${target.replace(/[\\/]+$/, "")}.${crypto.randomUUID()}.tmp`;
  await attempt(target, Deno.mkdir(temp, { recursive: parents }));
  try {
    const made: AssembleReport["files"][number][] = [];
    for (const [part, from] of parts) {
      const name = files[part];
      await attempt(target, Deno.mkdir(dirname(join(temp, name)), { recursive: true }));
      const { tensors, bytes } = await convertFile(from, join(temp, name), {
        type,
        signal,
        keep: part === "text_encoder" ? isEncoder : undefined,
        added: addedTo(part, added),
        onProgress: (progress) => onProgress?.({ file: name, ...progress }),
      });
      made.push({ name, source: from, tensors, bytes });
    }
    if (release.text) {
      const tokenizer = await readSmallFile(release.text.tokenizer, JSON_LIMIT);
      await writeFileAtomic(join(temp, files.tokenizer), tokenizer, { signal });
    }
    const json = JSON.stringify({ ...preset.config, files }, null, 2);
    await writeFileAtomic(join(temp, "config.json"), new TextEncoder().encode(`${json}\n`));
    signal?.throwIfAborted();
    // not every system renames a folder over an empty one
    await Deno.remove(target).catch(() => {});
    await attempt(target, Deno.rename(temp, target));
    return { config: { ...config, files }, files: made };
  } catch (error) {
    // an error of the clean-up must not hide the one that led here
    await Deno.remove(temp, { recursive: true }).catch(() => {});
    throw error;
  }
}

/** Selects what is added to a part. */
function addedTo(part: Part, all: LowRanks): LowRanks {
  const isOf = (name: string) => part !== "vae" && isEncoder(name) === (part === "text_encoder");
  return new Map(all.entries().filter(([name]) => isOf(name)));
}

/** Selects the encoder of a T5, the only half in use. */
function isEncoder(name: string): boolean {
  return name === "shared.weight" || name.startsWith("encoder.");
}

async function checkTarget(target: string): Promise<void> {
  const info = await Deno.stat(target).catch(() => null);
  if (!info) return;
  if (info.isDirectory) {
    for await (const { name } of Deno.readDir(target)) {
      refuse(target, `it already contains ${quote(name)}; name a new folder`);
    }
  } else refuse(target, "it is a file; name a new folder");
}

function refuse(target: string, why: string, cause?: unknown): never {
  throw new FileError("exists", `Cannot write ${quote(target)}: ${why}`, { cause });
}

/** Refuses a web page or a pointer in place of a tokenizer. */
async function checkTokenizer(path: string): Promise<void> {
  await openFolder(dirname(path)).json(basename(path));
}

/** Refuses another model's checkpoint before it is converted, which may take an hour. */
async function checkSource(
  config: ModelConfig,
  part: Part,
  path: string,
  loras: readonly Lora[],
): Promise<void> {
  const file = await openWeights(path);
  try {
    const { tensors } = checkpointRoot(file);
    const files = { ...config.files, vae: basename(path) };
    checkTensors({ ...config, files }, part, { name: path, metadata: file.metadata, tensors });
    if (part === "transformer") await checkLoraBase(loras, file, tensors);
  } finally {
    file.close();
  }
}
