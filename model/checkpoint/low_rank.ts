/**
 * Adds products of low rank to weights, on the GPU as they are loaded, or on the host as they are converted.
 *
 * @module
 */

import {
  CheckpointError,
  type Device,
  quote,
  type Tensor,
  type TensorInfo,
} from "../../engine/mod.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { packOperand } from "../../kernels/linear/operand.ts";
import type { LoraPair } from "./lora_file.ts";

/** What is added to a weight [N, K]: scale · B · A. */
export interface LowRank extends LoraPair {
  /** Strength · alpha / rank. */
  readonly scale: number;
  /** Rows of A, and columns of B. */
  readonly rank: number;
}

/** What is added to weights, by their names. */
export type LowRanks = ReadonlyMap<string, readonly LowRank[]>;

/** w += scale · B · A for a weight f32 [N, K] on the GPU. */
export function addLowRank(device: Device, w: Tensor, { A, B, shape, scale, rank }: LowRank): void {
  const [N, K] = shape;
  // kernels read four numbers at once
  const width = Math.ceil(rank / 4) * 4;
  const rows = new Float32Array(N * width);
  for (let n = 0; n < N; n++) {
    for (let r = 0; r < rank; r++) rows[n * width + r] = scale * B[n * rank + r]!;
  }
  const columns = new Float32Array(width * K);
  columns.set(A);
  using x = device.from("f32", [N, width], rows, "LoRA B");
  using a = device.from("f32", [width, K], columns, "LoRA A");
  using linear = packOperand(device, [a], { transposed: false });
  matmul(device, { x, linear, y: w.reshape(N, K), epilogue: "add" });
}

/**
 * The same on the host.
 *
 * @param values Elements of the weight, row by row.
 * @param start Index of the first of them.
 */
export function addLowRankOnHost(
  values: Float32Array,
  start: number,
  { A, B, shape: [, K], scale, rank }: LowRank,
): void {
  const sums = new Float64Array(K);
  for (let at = 0; at < values.length;) {
    const n = Math.floor((start + at) / K);
    const first = start + at - n * K;
    const count = Math.min(K - first, values.length - at);
    sums.fill(0);
    for (let r = 0; r < rank; r++) {
      const b = scale * B[n * rank + r]!;
      const row = A.subarray(r * K + first, r * K + first + count);
      for (let k = 0; k < count; k++) sums[k]! += b * row[k]!;
    }
    for (let k = 0; k < count; k++) values[at + k]! += sums[k]!;
    at += count;
  }
}

/**
 * Refuses what does not fit the tensors of a file, or is for none of them.
 *
 * @param source What messages call the file.
 * @throws {CheckpointError} `another-model`, `wrong-shape`.
 */
export function checkAdded(
  tensors: ReadonlyMap<string, Pick<TensorInfo, "shape">>,
  added: LowRanks,
  source: string,
): void {
  const refuse = (code: string, why: string): never => {
    throw new CheckpointError(code, `Cannot add LoRA to ${quote(source)}: ${why}`);
  };
  const [first] = added.keys();
  if (first !== undefined && !added.keys().some((name) => tensors.has(name))) {
    refuse("another-model", `it has no tensor ${quote(first)}`);
  }
  for (const [name, products] of added) {
    const shape = tensors.get(name)?.shape;
    const other = products.find((product) => shape && `${product.shape}` !== `${shape}`);
    if (!other) continue;
    const is = `tensor ${quote(name)} is [${shape!.join(", ")}]`;
    refuse("wrong-shape", `${is}, the adapter is for [${other.shape.join(", ")}]`);
  }
}
