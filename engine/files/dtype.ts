/**
 * The number types of weight files, and conversion from them on the host.
 *
 * Large tensors are converted on the GPU. These functions are for small ones, for tests, and for types that WGSL lacks
 * (F64, I64, F8).
 *
 * @module
 */

import { InputError } from "../base/errors.ts";

/** A little-endian number type, by its name in Safetensors. */
export type Dtype =
  | "BOOL"
  | "U8"
  | "I8"
  | "F8_E5M2"
  | "F8_E4M3"
  | "U16"
  | "I16"
  | "F16"
  | "BF16"
  | "U32"
  | "I32"
  | "F32"
  | "U64"
  | "I64"
  | "F64";

/**
 * The values of a tensor as they are stored. Types that JavaScript lacks stay bits: `BOOL` and the `F8` types are in a
 * `Uint8Array`, `BF16` is in a `Uint16Array`.
 */
export type FileData =
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Float16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

const VIEWS = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  F8_E5M2: Uint8Array,
  F8_E4M3: Uint8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Float16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;

/** Every {@linkcode Dtype}, from narrow to wide. */
export const DTYPES: readonly Dtype[] = Object.keys(VIEWS) as Dtype[];

/** Whether `value` is the name of a {@linkcode Dtype}. */
export function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(VIEWS, value);
}

/** Returns the bytes of one element: 1, 2, 4 or 8. @throws {InputError} `bad-type`: there is no such type. */
export function dtypeBytes(dtype: Dtype): 1 | 2 | 4 | 8 {
  if (isDtype(dtype)) return VIEWS[dtype].BYTES_PER_ELEMENT as 1 | 2 | 4 | 8;
  throw new InputError("bad-type", `Cannot read values: their dtype must be ${DTYPES.join(", ")}`);
}

/**
 * Views bytes as values of a type. Copies them only if they are not aligned for it.
 *
 * @throws {InputError} `byte-length`: the bytes are not a whole number of elements; `bad-type`.
 */
export function viewAs(bytes: Uint8Array<ArrayBuffer>, dtype: Dtype): FileData {
  const size = dtypeBytes(dtype);
  if (!(bytes instanceof Uint8Array)) {
    throw new InputError("bad-type", `Cannot view values as ${dtype}: give a Uint8Array`);
  }
  if (bytes.length % size !== 0) {
    throw new InputError(
      "byte-length",
      `Cannot view ${bytes.length} bytes as ${dtype}: the length is not a multiple of ${size}`,
    );
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new VIEWS[dtype](aligned.buffer, aligned.byteOffset, aligned.length / size);
}

/**
 * Converts stored values to f32. `BOOL` becomes 0 or 1. Wider types are rounded to the nearest, ties to even, and
 * become infinite beyond the range of f32.
 *
 * @example
 * ```ts ignore
 * toFloat32(new Uint8Array([0x80, 0x3f]), "BF16"); // Float32Array [1]
 * ```
 *
 * @param bytes The stored bytes, at any alignment.
 * @param dtype The stored type.
 * @returns A new array of as many f32 as there are elements.
 * @throws {InputError} `byte-length`: the bytes are not a whole number of elements; `bad-type`.
 */
export function toFloat32(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: Dtype,
): Float32Array<ArrayBuffer> {
  const data = viewAs(bytes, dtype);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float32Array.from(data as ArrayLike<unknown> as ArrayLike<bigint>, bigintToFloat32);
  }
  switch (dtype) {
    case "BF16":
      return bf16ToFloat32(data as Uint16Array);
    case "F8_E5M2":
      return f8e5m2ToFloat32(data as Uint8Array);
    case "F8_E4M3":
      return f8e4m3ToFloat32(data as Uint8Array);
    case "BOOL":
      return Float32Array.from(data, (value) => value === 0 ? 0 : 1);
    default:
      return new Float32Array(data);
  }
}

/** Converts f16 bits to f32, exactly. */
export function f16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

/** Converts bf16 bits (the upper half of f32) to f32, exactly. */
export function bf16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i] << 16;
  return new Float32Array(out.buffer);
}

/** Converts F8_E5M2 bits (the upper half of f16) to f32, exactly. */
export function f8e5m2ToFloat32(bits: Uint8Array): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = bits[i] << 8;
  return f16ToFloat32(halves);
}

/** Converts F8_E4M3 bits (the "FN" variant: no infinity, 0x7f and 0xff are NaN) to f32, exactly. */
export function f8e4m3ToFloat32(bits: Uint8Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = F8_E4M3_VALUES[bits[i]];
  return out;
}

const F8_E4M3_VALUES = Float32Array.from({ length: 256 }, (_, bits) => {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  if ((bits & 0x7f) === 0x7f) return NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -9;
  return sign * (8 + mantissa) * 2 ** (exponent - 10);
});

// Number() alone would round twice, to f64 and then to f32; from 2^53 on, a sticky bit stands for the low bits.
function bigintToFloat32(value: bigint): number {
  const size = value < 0n ? -value : value;
  const kept = size < 1n << 53n ? size : ((size >> 11n) | (size & 0x7ffn ? 1n : 0n)) << 11n;
  return Math.fround(value < 0n ? -Number(kept) : Number(kept));
}
