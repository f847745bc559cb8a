import type { Dtype, TensorEntry } from "../../engine/mod.ts";
import {
  type FloatType,
  isQuantised,
  QUANTISED_BLOCK,
  quantisedBytes,
  type QuantisedType,
  WEIGHT_FORMATS,
  type WeightType,
} from "../../kernels/linear/weight_types.ts";
import { fileDtype, isQuantisable, scalesOf } from "../checkpoint/quantised_blocks.ts";

const FLOAT_DTYPES = { f32: "F32", f16: "F16" } as const satisfies Record<FloatType, Dtype>;

/** How a file stores a tensor. */
export interface Stored {
  /** Type of the elements, or of the integers of blocks. */
  readonly dtype: Dtype;
  /** Type of its quantised blocks, if it is stored in some. */
  readonly blocks?: QuantisedType;
}

/**
 * How a file of `type` stores a tensor: matrices as that type, or as f16 beside quantised blocks; vectors stay f32: they
 * are small, and norms and biases need the precision.
 */
export function storedAs(name: string, shape: readonly number[], type: WeightType): Stored {
  if (isQuantised(type) && isQuantisable(name, shape)) {
    return { dtype: fileDtype(type), blocks: type };
  }
  const isMatrix = shape.filter((size) => size !== 1).length > 1;
  return { dtype: FLOAT_DTYPES[isMatrix ? WEIGHT_FORMATS[type].float : "f32"] };
}

/** The entries of a file's header for a tensor: one, or two for blocks and their scales. */
export function entriesOf(
  { name, shape, dtype, blocks }: Stored & Pick<TensorEntry, "name" | "shape">,
): TensorEntry[] {
  if (!blocks) return [{ name, dtype, shape }];
  const [N, K] = shape as [number, number];
  return [
    { name, dtype, shape: [N, quantisedBytes(blocks, K)] },
    { name: scalesOf(name), dtype: "F16", shape: [N, K / QUANTISED_BLOCK] },
  ];
}
