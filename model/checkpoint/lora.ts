import { basename, dirname, fromFileUrl } from "../../deps/@std/path.ts";
import {
  CheckpointError,
  InputError,
  printable,
  quote,
  Safetensors,
  type TensorFile,
} from "../../engine/mod.ts";
import type { ModelConfig } from "../config/types.ts";
import { openTensorFile } from "./files.ts";
import { webSource } from "../download/web_source.ts";
import { isUrl } from "./folder.ts";
import { baseFingerprint, type LoraFile, readLora } from "./lora_file.ts";
import type { LowRank, LowRanks } from "./low_rank.ts";
import { parameterShapes, t5Shapes } from "./tensor_shapes.ts";

/** Adapters of low rank that are added to a model's weights. */
export interface LoraOption {
  /** Safetensors file, by its path or URL. */
  readonly path: string | URL;
  /** What its effect is multiplied by; 1 if absent, and 0 leaves the weights as they are. */
  readonly strength?: number;
}

/** Adapters that were read, and checked against a model. */
export interface Lora {
  /** The file's name without its extension. */
  readonly name: string;
  /** What its effect is multiplied by. */
  readonly strength: number;
  /** The first 12 digits of the file's hash, see {@link readLora}. */
  readonly hash: string;
  /** What it holds. */
  readonly file: LoraFile;
}

/** Parameters that are tables, not factors of products. */
const TABLES = /^(shared|lvl_embed)\.weight$|relative_attention_bias\.weight$/;

/**
 * Reads files of adapters. Returns those of strength 0 not: they add nothing.
 *
 * @throws {FileError} One cannot be read.
 * @throws {CheckpointError | SafetensorsError} One is not such a file, see {@linkcode readLora}.
 */
export async function readLoras(options: readonly LoraOption[]): Promise<Lora[]> {
  const loras: Lora[] = [];
  for (const { path, strength = 1 } of options) {
    const file = await openFile(path);
    try {
      const found = await readLora(file);
      loras.push({ name: nameOf(path), strength, hash: found.hash, file: found });
    } finally {
      file.close();
    }
  }
  return loras.filter(({ strength }) => strength !== 0);
}

/**
 * Checks that adapters were made for a model, by its shapes.
 *
 * @throws {CheckpointError} `another-model`: a parameter is not in it; `wrong-shape`: an adapter does not fit one.
 */
export function checkLoraShapes(loras: readonly Lora[], config: ModelConfig): void {
  const text = config.text_encoder ? t5Shapes(config.text_encoder) : [];
  const shapes = new Map([...parameterShapes(config.transformer), ...text]);
  for (const { name, file } of loras) {
    for (const [parameter, { shape }] of file.adapters) {
      const is = shapes.get(parameter);
      if (!is || is.length !== 2 || TABLES.test(parameter)) {
        throw refuse(name, "another-model", `${config.name} has no matrix ${quote(parameter)}`);
      }
      if (`${is}` === `${shape}`) continue;
      const found = `its adapter of ${quote(parameter)} is for [${shape.join(", ")}]`;
      throw refuse(name, "wrong-shape", `${found}, in ${config.name} it is [${is.join(", ")}]`);
    }
  }
}

/**
 * Checks that adapters were made for the weights of a transformer, which its vectors tell from others.
 *
 * @param tensors Its tensors by the names that they should have, if they have others in the file.
 * @throws {CheckpointError} `another-model`: the message names the model that one was made for.
 */
export async function checkLoraBase(
  loras: readonly Lora[],
  file: TensorFile,
  tensors?: TensorFile["tensors"],
): Promise<void> {
  if (loras.length === 0) return;
  const fingerprint = await baseFingerprint(file, tensors);
  const other = loras.find(({ file: { base } }) => base !== fingerprint);
  if (!other) return;
  const why = `it was made for other weights, those of ${quote(other.file.baseName)}`;
  throw refuse(other.name, "another-model", why);
}

function refuse(name: string, code: string, why: string): CheckpointError {
  return new CheckpointError(code, `Cannot use LoRA ${quote(name)}: ${why}`);
}

async function openFile(path: string | URL): Promise<TensorFile> {
  if (typeof path === "string" && !isUrl(path)) return await openTensorFile(path);
  const url = URL.parse(path);
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    return await Safetensors.open(await webSource(url));
  }
  const local = fileOf(url);
  if (local !== null) return await openTensorFile(local);
  const message = `Cannot load LoRA ${quote(`${path}`)}: give the path of a file, or its URL`;
  throw new InputError("bad-url", message);
}

/** The path of a `file:` URL; null if it is not one. */
function fileOf(url: URL | null): string | null {
  try {
    return url && fromFileUrl(url);
  } catch {
    return null;
  }
}

/** What stands for a file where images are described: marks of that notation would break it. */
function nameOf(path: string | URL): string {
  const whole = path instanceof URL ? path.pathname : path;
  const name = basename(whole).replace(/\.safetensors$/i, "");
  // a training calls its file lora.safetensors: its folder says more
  const folder = basename(dirname(whole));
  const said = name === "lora" && folder !== "." ? folder : name;
  return printable(said).replace(/[<>:,"]/g, "_") || "_";
}

/** What adapters add to each parameter, in their order. */
export function lowRanksOf(loras: readonly Lora[]): LowRanks {
  const all = new Map<string, LowRank[]>();
  for (const { strength, file: { rank, alpha, adapters } } of loras) {
    for (const [parameter, pair] of adapters) {
      const list = all.get(parameter) ?? [];
      all.set(parameter, [...list, { ...pair, rank, scale: strength * alpha / rank }]);
    }
  }
  return all;
}
