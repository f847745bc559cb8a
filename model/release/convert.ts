/**
 * Converts checkpoints to Safetensors, tensor by tensor.
 *
 * @module
 */

import { basename } from "../../deps/@std/path.ts";
import {
  CheckpointError,
  type Dtype,
  dtypeBytes,
  quote,
  safetensorsHeader,
  type TensorEntry,
  type TensorFile,
  type TensorInfo,
  toFloat32,
  viewAs,
} from "../../engine/mod.ts";
import { isQuantised, type WeightType } from "../../kernels/linear/weight_types.ts";
import { QUANTISATION, quantise, scalesOf, storedBlocks } from "../checkpoint/quantised_blocks.ts";
import { fileSource, openTensorFile, writeFileAtomic } from "../checkpoint/files.ts";
import {
  addLowRankOnHost,
  checkAdded,
  type LowRank,
  type LowRanks,
} from "../checkpoint/low_rank.ts";
import { type CheckpointRoot, checkpointRoot } from "./checkpoint_root.ts";
import { entriesOf, type Stored, storedAs } from "./stored_as.ts";
import { openTorchCheckpoint } from "./torch/torch_checkpoint.ts";

/** Bytes per read, which bounds the memory for a checkpoint of any size. */
const CHUNK_BYTES = 2 ** 24;
const FLOATS: readonly Dtype[] = ["F64", "F32", "F16", "BF16"];

/** Options of {@linkcode convertFile}. */
export interface ConvertOptions {
  /**
   * Storage of matrices; vectors become f32. `q8_0` and `q4_0` quantise the linear layers of transformer blocks, and
   * store other matrices as f16. If absent, every tensor keeps its type.
   */
  readonly type?: WeightType;
  /** The dict of the checkpoint to convert, such as `trainer.gpt_ema_fsdp`; the model is found if absent. */
  readonly key?: string;
  /** Selects tensors of the model by name; all if absent. */
  readonly keep?: (name: string) => boolean;
  /** What is added to weights, before they are stored. */
  readonly added?: LowRanks;
  /** Stops the conversion and leaves the previous file in place. */
  readonly signal?: AbortSignal;
  /** Called before each tensor. */
  readonly onProgress?: (progress: ConvertProgress) => void;
}

/** Progress of a conversion. */
export interface ConvertProgress {
  /** The next tensor. */
  readonly name: string;
  /** Number of tensors before it. */
  readonly done: number;
  /** Number of all tensors. */
  readonly total: number;
}

/** Result of a conversion. */
export interface ConvertReport extends Pick<CheckpointRoot, "model" | "key" | "dropped"> {
  /** Tensors written; a quantised one and its scales count as one. */
  readonly tensors: number;
  /** Tensors of the file that were left out. */
  readonly left: number;
  /** Numbers written. */
  readonly parameters: number;
  /** Bytes of the new file. */
  readonly bytes: number;
}

/**
 * Opens a PyTorch checkpoint or a Safetensors file, recognised by its content.
 *
 * @throws {FileError} It cannot be read.
 * @throws {CheckpointError} It is neither, or a malformed checkpoint.
 * @throws {SafetensorsError} It is a malformed Safetensors file.
 */
export async function openWeights(path: string): Promise<TensorFile> {
  // openTensorFile also opens shards, for which no file of this name exists
  const source = await fileSource(path).catch(() => undefined);
  if (!source || path.endsWith(".index.json")) return source?.close(), await openTensorFile(path);
  const head = await source.read(0, Math.min(9, source.size));
  // Safetensors: eight bytes of length, then JSON
  if (head[7] !== 0 || head[8] !== 0x7b) return await openTorchCheckpoint(source);
  source.close();
  return await openTensorFile(path);
}

/**
 * Converts a PyTorch checkpoint or Safetensors to one Safetensors file, written atomically.
 *
 * @example
 * ```ts ignore
 * await convertFile("infinity_2b_reg.pth", "transformer.safetensors", { type: "f16" });
 * ```
 *
 * @param source The file to read.
 * @param target The file to write.
 * @throws {CheckpointError} `overflow`: values are too large for `type`; `in-blocks`: the file is
 * quantised to another type; or the checkpoint is malformed.
 * @throws {SafetensorsError} The Safetensors file is malformed.
 * @throws {FileError} A file cannot be read or written.
 * @throws {DOMException} `AbortError`: the signal was aborted.
 */
export async function convertFile(
  source: string,
  target: string,
  { type, key, keep = () => true, added = new Map(), signal, onProgress }: ConvertOptions = {},
): Promise<ConvertReport> {
  signal?.throwIfAborted();
  const file = await openWeights(source);
  try {
    const { model, key: found, tensors, dropped } = checkpointRoot(file, key);
    const plan = planOf([...tensors].filter(([name]) => keep(name)), type, added, source);
    const { [QUANTISATION]: before, ...metadata } = file.metadata;
    const quantisation = type === undefined ? before : isQuantised(type) ? type : undefined;
    const header = safetensorsHeader(plan.flatMap(entriesOf), {
      format: "pt",
      // some VAEs differ in their names only
      source: basename(source),
      ...metadata,
      ...quantisation === undefined ? {} : { [QUANTISATION]: quantisation },
    });
    let bytes = header.length;
    let overflows = 0;
    let first = "";
    const pieces = async function* () {
      yield header;
      for (const [done, { name, info, dtype, blocks }] of plan.entries()) {
        onProgress?.({ name, done, total: plan.length });
        // scales are a sixteenth of their blocks, which come first
        const scales: Uint8Array<ArrayBuffer>[] = [];
        for await (const read of file.chunks(info.name, CHUNK_BYTES)) {
          signal?.throwIfAborted();
          const chunk = sumOf(read, info.dtype, added.get(name) ?? []);
          const out = blocks
            ? quantise(toFloat32(chunk.bytes, chunk.dtype), blocks)
            : cast(chunk.bytes, chunk.dtype, dtype);
          overflows += out.overflows;
          if (out.overflows > 0) first ||= name;
          bytes += out.bytes.length;
          // after the first overflow, the rest is only counted
          if (overflows === 0) yield out.bytes;
          if (out.scales) scales.push(new Uint8Array(out.scales.buffer));
        }
        for (const piece of scales) {
          bytes += piece.length;
          if (overflows === 0) yield piece;
        }
      }
      if (overflows === 0) return;
      throw new CheckpointError(
        "overflow",
        `Cannot convert ${quote(source)}: ${overflows} numbers are too large for ${type}, ` +
          `the first one in tensor ${quote(first)}; use another type`,
      );
    };
    await writeFileAtomic(target, pieces(), { signal });
    const parameters = plan.reduce((sum, { info }) => sum + info.elements, 0);
    const left = file.tensors.size - plan.length - dropped.length;
    return { model, key: found, dropped, tensors: plan.length, left, parameters, bytes };
  } finally {
    file.close();
  }
}

/** A tensor to write. */
interface Planned extends Stored, Pick<TensorEntry, "name" | "shape"> {
  readonly info: TensorInfo;
}

function planOf(
  tensors: readonly (readonly [string, TensorInfo])[],
  type: WeightType | undefined,
  added: LowRanks,
  source: string,
): Planned[] {
  const all = new Map(tensors);
  // quantised blocks stay as they are: their rounding is final
  const kept = new Set<string>();
  for (const [name] of tensors) {
    const stored = storedBlocks(all, name);
    if (!stored) continue;
    kept.add(name).add(scalesOf(name));
    if (added.has(name)) {
      throw new CheckpointError(
        "in-blocks",
        `Cannot add LoRA to ${quote(source)}: it is stored as ${stored.type}; use the original`,
      );
    }
    if (type === undefined || stored.type === type) continue;
    throw new CheckpointError(
      "in-blocks",
      `Cannot convert ${quote(source)} to ${type}: it is already stored as ${stored.type}; ` +
        "convert the original",
    );
  }
  checkAdded(all, added, source);
  const plan = tensors.map(([name, info]): Planned => {
    const { shape } = info;
    const own = type === undefined || kept.has(name) || !FLOATS.includes(info.dtype);
    if (!own) return { name, info, shape, ...storedAs(name, shape, type) };
    // bf16 would round what is added
    const widens = added.has(name) && info.dtype !== "F16";
    return { name, info, shape, dtype: widens ? "F32" : info.dtype };
  });
  // wide types first, so that every tensor is aligned; blocks have even sizes
  const rank = ({ name, blocks, dtype }: Planned) =>
    blocks || kept.has(name) ? 1.5 : dtypeBytes(dtype);
  return plan.sort((a, b) => rank(b) - rank(a));
}

/** A piece of a tensor, with what is added to it: then in f32. */
function sumOf(
  { offset, bytes }: { readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> },
  dtype: Dtype,
  products: readonly LowRank[],
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly dtype: Dtype } {
  if (products.length === 0) return { bytes, dtype };
  const values = toFloat32(bytes, dtype);
  for (const product of products) addLowRankOnHost(values, offset / dtypeBytes(dtype), product);
  return {
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    dtype: "F32",
  };
}

/** Rounds once, to nearest even; counts the values that become infinite. */
function cast(
  bytes: Uint8Array<ArrayBuffer>,
  from: Dtype,
  to: Dtype,
): { bytes: Uint8Array<ArrayBuffer>; scales?: undefined; overflows: number } {
  if (from === to) return { bytes, overflows: 0 };
  const values = from === "F64" ? viewAs(bytes, from) as Float64Array : toFloat32(bytes, from);
  const out = to === "F16" ? new Float16Array(values) : new Float32Array(values);
  let overflows = 0;
  if (from === "F64" || to === "F16") {
    for (let i = 0; i < values.length; i++) {
      if (Math.abs(out[i]!) === Infinity && Math.abs(values[i]!) !== Infinity) overflows++;
    }
  }
  return { bytes: new Uint8Array(out.buffer), overflows };
}
