/**
 * What all kernels of {@link matmul} for weights in buffers share: arguments, bindings, parameters and prelude lines.
 *
 * @module
 */

import {
  type Device,
  memoised,
  type Specialisation,
  type Tensor,
  type Texture,
  type Work,
} from "../../engine/mod.ts";
import { type Epilogue, epilogueLines, type Gate, gateParams } from "./epilogue.ts";
import type { Linear } from "./linear.ts";
import { sumParts } from "./sum_parts.ts";
import { WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
import { accessY, readX } from "../shared/access.ts";

/** A product y = epilogue(x · Wᵀ + b). */
export interface Product {
  /** [M, K] f32 or f16; M may be several axes. */
  readonly x: Tensor;
  /** Packed weight and bias. */
  readonly linear: Linear;
  /** [M, N] f32 or f16. */
  readonly y: Tensor;
  /** `none` if absent. */
  readonly epilogue?: Epilogue;
  /** For the epilogue `gate`. Offset, stride and N are divisible by 4. */
  readonly gate?: Gate;
  /** Rows of x that belong to one sequence; M if absent. It decides how sums are shared, see {@link variantOf}. */
  readonly rows?: number;
}

/** Bindings of the kernels. */
export const BINDINGS = ["x", "w", "scales", "bias", "gate", "y"] as const;

/** Parameters of the kernels. */
export const PARAMS = ["M", "K", "N", "rows_per_gate", "gate_stride", "gate_offset"] as const;

/** Arguments of a dispatch. */
interface ProductDispatch {
  /** X, Y and W: element types as bound. */
  readonly specialise: Specialisation;
  /** WGSL functions load_x, load_w, load_y, store_y and epilogue. */
  readonly functions: string;
  /** Tensors by binding. */
  readonly bind: Readonly<Record<(typeof BINDINGS)[number], Tensor | Texture | null>>;
  /** Values by parameter. */
  readonly params: Readonly<Record<(typeof PARAMS)[number], number>>;
  /** Shape and operations. */
  readonly work: Work;
}

/** Number of rows of a product. */
export function productRows({ x, linear }: Product): number {
  return x.elements / linear.K;
}

/** Returns the arguments of a dispatch that depend on the operands alone. */
export function productDispatch(product: Product): ProductDispatch {
  const { x, linear, y, epilogue = "none", gate } = product;
  const { K, N, dtype, bias } = linear;
  const M = productRows(product);
  const read = readX(x.dtype, K, "K");
  const access = accessY(y.dtype, N % 4 === 0);
  return {
    specialise: { X: read.type, Y: access.type, W: WEIGHT_FORMATS[dtype].element },
    functions: prelude(read.lines, access.lines, bias !== null, epilogue, dtype),
    bind: { x, w: linear.weight, scales: linear.scales, bias, gate: gate?.tensor ?? null, y },
    params: { M, K, N, ...gateParams(gate) },
    work: { shape: [M, K, N], flops: 2 * M * K * N },
  };
}

/**
 * Makes a product of `S` parts of its common axis: `launch` stores one below the other as rows of y, without bias and
 * epilogue, and a second pass sums them.
 */
export function productInParts(
  device: Device,
  product: Product,
  S: number,
  launch: (parts: Product) => void,
): void {
  const { x, linear, y, epilogue, gate } = product;
  const N = Math.ceil(linear.N / 4) * 4;
  using parts = device.tensor("f32", [S, productRows(product), N], "parts of a product");
  launch({ x, linear: { ...linear, N, bias: null }, y: parts });
  sumParts(device, { parts, N: linear.N, bias: linear.bias, y, epilogue, gate });
}

/** Returns the prelude lines of a product. */
const prelude = memoised((
  read: string,
  access: string,
  bias: boolean,
  epilogue: Epilogue,
  dtype: WeightType,
): string =>
  [
    read,
    access,
    epilogueLines(bias, epilogue),
    LOAD_W[dtype],
    WEIGHT_FORMATS[dtype].quantisation ? LOAD_SCALE : "",
  ].join("\n")
);

const LOAD_FLOATS = `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let at = 4 * k * columns + n;
  return mat4x4(vec4<f32>(w[at]), vec4<f32>(w[at + columns]), vec4<f32>(w[at + 2 * columns]), vec4<f32>(w[at + 3 * columns]));
}`;

/** WGSL that loads 4 columns of 4 rows of weights, from row 4k on, by storage type. */
const LOAD_W: Readonly<Record<WeightType, string>> = {
  f32: LOAD_FLOATS,
  f16: LOAD_FLOATS,
  q8_0: `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let s = load_scale(k / 8, n);
  let at = 4 * k * columns + n;
  return mat4x4(s * vec4<f32>(unpack4xI8(w[at])), s * vec4<f32>(unpack4xI8(w[at + columns])),
    s * vec4<f32>(unpack4xI8(w[at + 2 * columns])), s * vec4<f32>(unpack4xI8(w[at + 3 * columns])));
}`,
  q4_0: `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let s = load_scale(k / 8, n);
  let a = w[2 * k * columns + n];
  let b = w[(2 * k + 1) * columns + n];
  return mat4x4(s * nibbles(a), s * nibbles(a >> 4), s * nibbles(b), s * nibbles(b >> 4));
}
fn nibbles(v: u32) -> vec4<f32> { return vec4<f32>(unpack4xU8(v & 0x0f0f0f0f)) - 8; }`,
};

/** WGSL that loads the scales of 4 columns in a block of 32 k. */
const LOAD_SCALE = `fn load_scale(block: u32, n: u32) -> vec4<f32> {
  let halves = scales[block * ((params.N + 3) / 4) + n];
  return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}`;
