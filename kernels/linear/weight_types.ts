import type { Dtype, TensorDType, TexelFormat } from "../../engine/mod.ts";

/**
 * How matrices are stored. `q8_0` and `q4_0` are quantised blocks of 32 weights with one f16 scale, as in ggml:
 * 8.5 and 4.5 bits per weight.
 */
export type WeightType = "f32" | "f16" | "q8_0" | "q4_0";

/** Types that store each weight as a number of its own. */
export type FloatType = "f32" | "f16";

/** Types that store weights as small integers in blocks that share a scale. */
export type QuantisedType = Exclude<WeightType, FloatType>;

/** Weights of one quantised block, along K. */
export const QUANTISED_BLOCK = 32;

/**
 * The integers of a quantised type. Stored are `integer + zero`, as two's complement if `zero` is 0; the weight is
 * `integer · scale`.
 */
export interface Quantisation {
  /** Bits of one integer: 8, or fewer that divide 8. */
  readonly bits: number;
  /** Smallest integer. */
  readonly least: number;
  /** Largest integer. */
  readonly most: number;
  /** What the weight of largest magnitude becomes; if positive, ± that. */
  readonly extreme: number;
  /** Added to an integer when it is stored. */
  readonly zero: number;
  /** Type in files. It alone tells quantised types apart there, so no two share one. */
  readonly file: Dtype;
}

/** How a type is stored. */
interface Format {
  /** Elements of the packed tensor. */
  readonly dtype: TensorDType;
  /** WGSL type of one element of a buffer: four weights along N of each of `rowsPerElement` rows. */
  readonly element: string;
  /** The same element as a texel. */
  readonly texel: TexelFormat;
  /** Rows of k that one element holds. */
  readonly rowsPerElement: number;
  /** Type of what goes with such weights: caches, convolutions, and matrices that are never quantised. */
  readonly float: FloatType;
}

/**
 * Every storage type, largest first. A new type fails to compile here and in the two other tables by type: how
 * product.ts and matmul_texture.ts load its weights in WGSL.
 */
export const WEIGHT_FORMATS:
  & Readonly<Record<FloatType, Format & { readonly quantisation: null }>>
  & Readonly<Record<QuantisedType, Format & { readonly quantisation: Quantisation }>> = {
    f32: {
      dtype: "f32",
      element: "vec4<f32>",
      texel: "rgba32float",
      rowsPerElement: 1,
      float: "f32",
      quantisation: null,
    },
    f16: {
      dtype: "f16",
      element: "vec4<f16>",
      texel: "rgba16float",
      rowsPerElement: 1,
      float: "f16",
      quantisation: null,
    },
    q8_0: {
      dtype: "u32",
      element: "u32",
      texel: "rgba8snorm",
      rowsPerElement: 1,
      float: "f16",
      quantisation: { bits: 8, least: -127, most: 127, extreme: 127, zero: 0, file: "I8" },
    },
    q4_0: {
      dtype: "u32",
      element: "u32",
      texel: "rgba8unorm",
      rowsPerElement: 2,
      float: "f16",
      quantisation: { bits: 4, least: -8, most: 7, extreme: -8, zero: 8, file: "U8" },
    },
  };

/** All storage types, largest first. */
export const WEIGHT_TYPES: readonly WeightType[] = Object.keys(WEIGHT_FORMATS) as WeightType[];

/** All quantised types, largest first. */
export const QUANTISED_TYPES: readonly QuantisedType[] = WEIGHT_TYPES.filter(isQuantised);

/** Whether weights are stored in quantised blocks. */
export function isQuantised(type: WeightType): type is QuantisedType {
  return WEIGHT_FORMATS[type].quantisation !== null;
}

/** Bytes of `count` quantised weights, without their scales. */
export function quantisedBytes(type: QuantisedType, count: number): number {
  return count * WEIGHT_FORMATS[type].quantisation.bits / 8;
}
