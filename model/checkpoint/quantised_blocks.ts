/**
 * Quantised blocks as files store them: 32 weights share one f16 scale. Two tensors hold a weight [N, K]: `NAME`, I8
 * [N, K] (q8_0) or U8 [N, K/2] (q4_0: even k in the low nibble, offset by 8), and `NAME.scales`, F16 [N, K/32].
 *
 * @module
 */

import { type Dtype, quote, type TensorInfo } from "../../engine/mod.ts";
import {
  QUANTISED_BLOCK,
  QUANTISED_TYPES,
  quantisedBytes,
  type QuantisedType,
  WEIGHT_FORMATS,
} from "../../kernels/linear/weight_types.ts";
import type { Folder } from "./place.ts";

/** The metadata key of a file that names its type of quantised blocks. */
export const QUANTISATION = "quantisation";

/** The large matrices; not `sa.proj`, which has 1/16 of a block's weights but causes 1/4 of q8_0's error in logits. */
const TRANSFORMER =
  /^(blocks|block_chunks\.\d+\.module)\.\d+\.(sa\.mat_qkv|ca\.mat_q|ca\.mat_kv|ca\.proj|ffn\.fc1|ffn\.fc2)\.weight$/;
const T5 =
  /^encoder\.block\.\d+\.layer\.\d+\.(SelfAttention\.[qkvo]|DenseReluDense\.(wi_0|wi_1|wo))\.weight$/;

/**
 * Whether a tensor is quantised when its model is: the linear layers of transformer blocks are. Other tensors are
 * small, and every logit depends on them.
 */
export function isQuantisable(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && shape[1]! % QUANTISED_BLOCK === 0 &&
    (TRANSFORMER.test(name) || T5.test(name));
}

/** Returns the name of the tensor that holds the scales of `name`. */
export function scalesOf(name: string): string {
  return `${name}.scales`;
}

/** A weight that a file holds in quantised blocks. */
export interface StoredBlocks {
  readonly type: QuantisedType;
  /** Shape of the weight. */
  readonly shape: readonly [N: number, K: number];
  /** The tensor of its scales; null if the file lacks it. */
  readonly scales: Pick<TensorInfo, "dtype" | "shape"> | null;
}

/** Describes how `name` is stored in quantised blocks; null if it is not. */
export function storedBlocks(
  tensors: ReadonlyMap<string, Pick<TensorInfo, "dtype" | "shape">>,
  name: string,
): StoredBlocks | null {
  const info = tensors.get(name);
  const type = QUANTISED_TYPES.find((type) => fileDtype(type) === info?.dtype);
  if (!info || !type || info.shape.length !== 2) return null;
  const [N, width] = info.shape as [number, number];
  const K = width / quantisedBytes(type, 1);
  if (!isQuantisable(name, [N, K])) return null;
  return { type, shape: [N, K], scales: tensors.get(scalesOf(name)) ?? null };
}

/** Says what is wrong with the scales of `name`; null if nothing is. */
export function scalesFault(name: string, { type, shape, scales }: StoredBlocks): string | null {
  const [N, K] = shape;
  const is = scales ? `${scales.dtype} [${scales.shape.join(", ")}]` : "missing";
  const wanted = `F16 [${N}, ${K / QUANTISED_BLOCK}]`;
  if (is === wanted) return null;
  return `tensor ${quote(scalesOf(name))} is ${is}, ${type} blocks of [${N}, ${K}] need ${wanted}`;
}

/** Returns the type of quantised blocks that a file's metadata names, if any. */
export function quantisationOf(
  metadata: Readonly<Record<string, string>>,
): QuantisedType | undefined {
  return QUANTISED_TYPES.find((type) => type === metadata[QUANTISATION]);
}

/** Returns the type of quantised blocks that a file of a model folder has, if it is there and has any. */
export async function storedTypeOf(
  files: Folder,
  name: string,
): Promise<QuantisedType | undefined> {
  if (!await files.exists(name)) return undefined;
  const file = await files.tensors(name);
  file.close();
  return quantisationOf(file.metadata);
}

/** The type that the integers of a quantised weight have in files. */
export function fileDtype(type: QuantisedType): Dtype {
  return WEIGHT_FORMATS[type].quantisation.file;
}

/**
 * Quantises values in blocks of 32, bit for bit as kernels/linear/pack_quantised.wgsl does. Quantising dequantised
 * values gives the same blocks, except where the scale is a very small subnormal: below 127² · 2⁻²⁴ ≈ 1e-3 (q8_0) or
 * 64 · 2⁻²⁴ (q4_0) a scale may become its neighbour.
 *
 * @param values A multiple of 32 values.
 * @returns Bytes and scales, and in `overflows` how many values no block can hold: not finite, or too large for an f16
 * scale.
 */
export function quantise(
  values: Float32Array,
  type: QuantisedType,
): { bytes: Uint8Array<ArrayBuffer>; scales: Float16Array<ArrayBuffer>; overflows: number } {
  const bytes = new Uint8Array(quantisedBytes(type, values.length));
  const scales = new Float16Array(values.length / QUANTISED_BLOCK);
  const { bits, least, most, extreme, zero } = WEIGHT_FORMATS[type].quantisation;
  const mask = 2 ** bits - 1;
  const perByte = 8 / bits;
  const unit = Math.fround(1 / extreme);
  let next = 0;
  let overflows = 0;
  for (let block = 0; block < scales.length; block++) {
    const from = block * QUANTISED_BLOCK;
    let largest = 0; // in magnitude, with its sign
    for (let i = from; i < from + QUANTISED_BLOCK; i++) {
      const v = values[i]!;
      if (Math.abs(v) > Math.abs(largest)) largest = v;
      if (v !== v) overflows++;
    }
    // in f32, by a product: adapters round quotients differently; the rounded scale is the divisor
    const wanted = Math.fround((extreme < 0 ? largest : Math.abs(largest)) * unit);
    const scale = Math.f16round(wanted);
    scales[block] = scale;
    if (Math.abs(scale) === Infinity) overflows++;
    for (let i = from; i < from + QUANTISED_BLOCK; i += perByte) {
      let byte = 0;
      for (let j = 0; j < perByte; j++) {
        const q = scale === 0 ? 0 : Math.floor(values[i + j]! / scale + 0.5) | 0;
        byte |= ((q < least ? least : q > most ? most : q) + zero & mask) << bits * j;
      }
      bytes[next++] = byte;
    }
  }
  return { bytes, scales, overflows };
}
