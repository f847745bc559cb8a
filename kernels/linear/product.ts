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
import { rowsInParts, sumParts, withParts } from "./sum_parts.ts";
import { WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
import { accessY, readX } from "../shared/access.ts";
import type { Overflow } from "../shared/narrow.ts";

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
  /** What becomes of sums beyond the range of f16; its largest number if absent. */
  readonly overflow?: Overflow | undefined;
}

/** Bindings of the kernels. */
export const BINDINGS = ["x", "w", "scales", "bias", "gate", "y"] as const;

/** Parameters of the kernels. */
export const PARAMS = ["M", "K", "N", "rows_per_gate", "gate_stride", "gate_offset"] as const;

/** Arguments of a dispatch that have nothing to do with its text. */
interface ProductOperands {
  /** Tensors by binding. */
  readonly bind: Readonly<Record<(typeof BINDINGS)[number], Tensor | Texture | null>>;
  /** Values by parameter. */
  readonly params: Readonly<Record<(typeof PARAMS)[number], number>>;
  /** Shape and operations. */
  readonly work: Work;
}

/** Arguments of a dispatch. */
interface ProductDispatch extends ProductOperands {
  /** X, Y and W: element types as bound. */
  readonly specialise: Specialisation;
  /** WGSL functions fetch_x, load_x, fetch_w, unpack_w, load_w, load_y, store_y and epilogue. */
  readonly functions: string;
}

/** Number of rows of a product. */
export function productRows({ x, linear }: Product): number {
  return x.elements / linear.K;
}

/** Returns the arguments of a dispatch that have nothing to do with its text. */
export function productOperands(product: Product): ProductOperands {
  const { x, linear, y, gate } = product;
  const { K, N, weight, scales, bias } = linear;
  const M = productRows(product);
  return {
    bind: { x, w: weight, scales, bias, gate: gate?.tensor ?? null, y },
    params: { M, K, N, ...gateParams(gate) },
    work: { shape: [M, K, N], flops: 2 * M * K * N },
  };
}

/** Returns the arguments of a dispatch that depend on the operands alone. */
export function productDispatch(product: Product): ProductDispatch {
  const { x, linear: { K, N, dtype, bias }, y, epilogue = "none", overflow = "largest" } = product;
  const divides = K % 4 === 0 ? 4 : 1;
  return {
    ...text(x.dtype, divides, y.dtype, N % 4 === 0, bias !== null, epilogue, dtype, overflow),
    ...productOperands(product),
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
  const { x, linear, y, epilogue, gate, overflow } = product;
  const { K, N, bias } = linear;
  const M = productRows(product);
  const width = Math.ceil(N / 4) * 4;
  const most = rowsInParts(S, N);
  for (let first = 0; first < M; first += most) {
    const rows = x.reshape(M, K).rows(first, Math.min(most, M - first));
    withParts(device, [S, rows.shape[0]!, width], (parts) => {
      launch({ x: rows, linear: { ...linear, N: width, bias: null }, y: parts, overflow });
      sumParts(device, { parts, N, bias, y, first, epilogue, gate, overflow });
    });
  }
}

/** Returns types and prelude lines of a product; `divides` is said of K. */
const text = memoised((
  xType: string,
  divides: number,
  yType: string,
  vectors: boolean,
  bias: boolean,
  epilogue: Epilogue,
  dtype: WeightType,
  overflow: Overflow,
) => {
  const read = readX(xType, divides, "K");
  const access = accessY(yType, vectors, overflow);
  return {
    specialise: { X: read.type, Y: access.type, W: WEIGHT_FORMATS[dtype].element },
    functions: [
      read.lines,
      access.lines,
      epilogueLines(bias, epilogue),
      FETCH_W[dtype],
      LOAD_W,
      WEIGHT_FORMATS[dtype].quantisation ? SCALE_OF : "",
    ].join("\n"),
  };
});

/** The lines below for weights that are numbers of their own. */
export const FETCH_FLOATS = `struct Fetched_w { a: W, b: W }
fn fetch_w(j: u32, n: u32, columns: u32) -> Fetched_w {
  return Fetched_w(w[2 * j * columns + n], w[(2 * j + 1) * columns + n]);
}
fn unpack_w(w: Fetched_w) -> mat2x4<f32> { return mat2x4(vec4<f32>(w.a), vec4<f32>(w.b)); }`;

/**
 * WGSL by storage type: `fetch_w(j, n, columns)`, which loads 4 columns of rows 2j and 2j + 1 of weights as they are
 * stored, and `unpack_w`, which makes them f32: a kernel that loads early unpacks late.
 */
const FETCH_W: Readonly<Record<WeightType, string>> = {
  f32: FETCH_FLOATS,
  f16: FETCH_FLOATS,
  q8_0: `struct Fetched_w { a: u32, b: u32, scale: vec2<u32> }
fn fetch_w(j: u32, n: u32, columns: u32) -> Fetched_w {
  return Fetched_w(w[2 * j * columns + n], w[(2 * j + 1) * columns + n], scales[j / 16 * columns + n]);
}
fn unpack_w(w: Fetched_w) -> mat2x4<f32> {
  let s = scale_of(w.scale);
  return mat2x4(s * vec4<f32>(unpack4xI8(w.a)), s * vec4<f32>(unpack4xI8(w.b)));
}`,
  q4_0: `struct Fetched_w { pairs: u32, scale: vec2<u32> }
fn fetch_w(j: u32, n: u32, columns: u32) -> Fetched_w {
  return Fetched_w(w[j * columns + n], scales[j / 16 * columns + n]);
}
fn unpack_w(w: Fetched_w) -> mat2x4<f32> {
  let s = scale_of(w.scale);
  return mat2x4(s * nibbles(w.pairs), s * nibbles(w.pairs >> 4));
}
fn nibbles(v: u32) -> vec4<f32> { return vec4<f32>(unpack4xU8(v & 0x0f0f0f0f)) - 8; }`,
};

/** WGSL that loads 4 columns of 4 rows of weights as f32, from row 4k on. */
const LOAD_W = `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let p = unpack_w(fetch_w(2 * k, n, columns));
  let q = unpack_w(fetch_w(2 * k + 1, n, columns));
  return mat4x4(p[0], p[1], q[0], q[1]);
}`;

/** WGSL that makes four scales of the halves of two words. */
const SCALE_OF = `fn scale_of(halves: vec2<u32>) -> vec4<f32> {
  return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}`;
