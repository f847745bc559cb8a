/**
 * Files of LoRA adapters (Hu et al. 2021): W' = W + alpha / rank · B · A for some matrices W [N, K] of a model. Two
 * tensors hold an adapter of the parameter `MODULE.weight`: `MODULE.lora_A` [rank, K] and `MODULE.lora_B` [N, rank].
 *
 * @module
 */

import {
  CheckpointError,
  type Dtype,
  encodeSafetensors,
  quote,
  type TensorFile,
  toFloat32,
} from "../../engine/mod.ts";
import { sha256 } from "./sha256.ts";

/** An adapter. */
export interface LoraPair {
  /** [rank, K]. */
  readonly A: Float32Array<ArrayBuffer>;
  /** [N, rank]. */
  readonly B: Float32Array<ArrayBuffer>;
  /** Shape of the parameter. */
  readonly shape: readonly [N: number, K: number];
}

/** What a file of adapters holds. */
export interface LoraFile {
  /** Rank of all adapters. */
  readonly rank: number;
  /** What products are scaled by is alpha / rank. */
  readonly alpha: number;
  /** The {@link baseFingerprint} of the model that they were trained on. */
  readonly base: string;
  /** Name of that model. */
  readonly baseName: string;
  /** Adapters by the names of their parameters, such as `head.weight`. */
  readonly adapters: ReadonlyMap<string, LoraPair>;
}

/** The largest rank; more than the width of any layer has no use. */
const MOST_RANK = 4096;
const FLOATS: readonly Dtype[] = ["F32", "F16", "BF16"];

/** Encodes adapters as a safetensors file, in f32. */
export function encodeLora({ rank, alpha, base, baseName, adapters }: LoraFile): Uint8Array {
  const tensors = [...adapters].flatMap(([name, { A, B, shape: [N, K] }]) => {
    const module = name.replace(/\.weight$/, "");
    return [
      { name: `${module}.lora_A`, dtype: "F32" as const, shape: [rank, K], data: A },
      { name: `${module}.lora_B`, dtype: "F32" as const, shape: [N, rank], data: B },
    ];
  });
  return encodeSafetensors(tensors, {
    format: "pt",
    rank: `${rank}`,
    alpha: `${alpha}`,
    base,
    base_name: baseName,
  });
}

/**
 * Reads a file of adapters, and returns with it the hash by which other programs know it: the first 12 digits of
 * SHA-256 of all bytes after the header.
 *
 * @throws {CheckpointError} `not-lora`: it is not such a file; `wrong-shape`: matrices disagree; `bad-value`: one is
 * not a finite number.
 * @throws {OutOfMemoryError} It is larger than memory allows.
 */
export async function readLora(file: TensorFile): Promise<LoraFile & { readonly hash: string }> {
  const { rank, alpha, base, baseName } = readMetadata(file);
  const bytes = await readAll(file);
  const values = (name: string): Float32Array<ArrayBuffer> => {
    const found = toFloat32(bytes.get(name)!, file.get(name).dtype);
    if (found.every(Number.isFinite)) return found;
    throw refuse(file, "bad-value", `tensor ${quote(name)} holds numbers that are not finite`);
  };
  const adapters = new Map(
    modulesOf(file).map((module): [string, LoraPair] => {
      const [a, b] = [`${module}.lora_A`, `${module}.lora_B`];
      const [K, N] = [file.get(a).shape[1]!, file.get(b).shape[0]!];
      const wanted = [[a, [rank, K]], [b, [N, rank]]] as const;
      for (const [name, shape] of wanted) checkShape(file, name, shape);
      return [`${module}.weight`, { A: values(a), B: values(b), shape: [N, K] }];
    }),
  );
  return { rank, alpha, base, baseName, adapters, hash: sha256(bytes.values()).slice(0, 12) };
}

function refuse(file: TensorFile, code: string, why: string): CheckpointError {
  return new CheckpointError(code, `Cannot load LoRA ${quote(file.name)}: ${why}`);
}

function readMetadata(file: TensorFile): Omit<LoraFile, "adapters"> {
  const { rank: r, alpha: a, base, base_name: baseName } = file.metadata;
  const [rank, alpha] = [Number(r), Number(a)];
  const isRank = Number.isSafeInteger(rank) && rank >= 1 && rank <= MOST_RANK;
  if (isRank && alpha > 0 && alpha < Infinity && base && baseName) {
    return { rank, alpha, base, baseName };
  }
  const why = r === undefined
    ? "it is not one: its metadata has no rank"
    : `its metadata must have rank, from 1 to ${MOST_RANK}, alpha above 0, base and base_name`;
  throw refuse(file, "not-lora", why);
}

/** The modules that have both matrices. */
function modulesOf(file: TensorFile): string[] {
  const names = [...file.tensors.keys()];
  const alone = names.find((name) => {
    const [, module, side] = /^(.+)\.lora_([AB])$/s.exec(name) ?? [];
    return side === undefined || !file.tensors.has(`${module}.lora_${side === "A" ? "B" : "A"}`);
  });
  if (alone !== undefined) {
    const why = `tensor ${quote(alone)} is not one of a pair MODULE.lora_A and MODULE.lora_B`;
    throw refuse(file, "not-lora", why);
  }
  if (names.length === 0) throw refuse(file, "not-lora", "it holds no tensors");
  return names.filter((name) => name.endsWith(".lora_A")).map((name) => name.slice(0, -7));
}

function checkShape(file: TensorFile, name: string, shape: readonly number[]): void {
  const { dtype, shape: is } = file.get(name);
  const isRight = `${is}` === `${shape}` && shape.every((size) => size > 0);
  if (isRight && FLOATS.includes(dtype)) return;
  const wanted = name.endsWith("A") ? `[${shape[0]}, K]` : `[N, ${shape[1]}]`;
  const why = `tensor ${quote(name)} is ${dtype} [${is.join(", ")}], it must be ` +
    `${FLOATS.join(" or ")} ${wanted}`;
  throw refuse(file, "wrong-shape", why);
}

/** All tensors as they are stored, in the order of the file. */
async function readAll(file: TensorFile): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const all = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of file.tensors.keys()) {
    const bytes = new Uint8Array(file.get(name).byteLength);
    for await (const chunk of file.chunks(name)) bytes.set(chunk.bytes, chunk.offset);
    all.set(name, bytes);
  }
  return all;
}

/** Vectors of a transformer that no conversion changes. */
const FINGER = ["pos_start", "text_proj_for_ca.0.bias", "word_embed.bias", "head.bias"] as const;

/**
 * What tells the model of a transformer's file from others of the same shape: 16 digits of SHA-256 of some of its
 * vectors. Storage types and merged adapters leave it as it is.
 *
 * @param tensors Its tensors by the names that they should have, if they have others in the file.
 * @throws {CheckpointError} `another-model`: it is not a transformer.
 */
export async function baseFingerprint(
  file: TensorFile,
  tensors: TensorFile["tensors"] = file.tensors,
): Promise<string> {
  const missing = FINGER.find((name) => !tensors.has(name));
  if (missing !== undefined) {
    const why = `it is not a transformer: tensor ${quote(missing)} is missing`;
    throw new CheckpointError("another-model", `Cannot use ${quote(file.name)}: ${why}`);
  }
  const vectors: Float32Array<ArrayBuffer>[] = [];
  for (const name of FINGER) vectors.push(await file.readFloat32(tensors.get(name)!.name));
  return sha256(vectors).slice(0, 16);
}
