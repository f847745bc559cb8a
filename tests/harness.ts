/**
 * What tests that need a device share.
 *
 * @module
 */

import "./backend.ts";
import { assert } from "@std/assert";
import { type Capabilities, Device, type Tensor, type TensorDType } from "../engine/mod.ts";

export { random } from "./random.ts";

/**
 * One device for all tests of a file. Without an adapter it fails with the engine's own error. With `BITWISE_CLASS=gpu`
 * in the environment, a software adapter takes the variants of a GPU.
 */
export const device: Device = await Device.open({
  class: Deno.env.get("BITWISE_CLASS") as Capabilities["class"] | undefined,
});
// a device that outlives its isolate sometimes corrupts the heap of Mesa's threads when the process exits
globalThis.addEventListener("unload", () => device.dispose());

/** Calls a launcher, which then chooses the kernels of a GPU. */
export function asGpu(launch: () => void): void {
  const { capabilities } = device;
  Object.assign(device, { capabilities: { ...capabilities, class: "gpu" } });
  try {
    launch();
  } finally {
    Object.assign(device, { capabilities });
  }
}

/** Random values in [-1, 1), rounded to `dtype` so that the reference sees the same numbers. */
export function values(
  next: () => number,
  count: number,
  dtype: TensorDType = "f32",
): Float64Array {
  return Float64Array.from({ length: count }, () => {
    const value = next() * 2 - 1;
    return dtype === "f16" ? Math.f16round(value) : Math.fround(value);
  });
}

/** Uploads numbers as a tensor. */
export function upload(
  dtype: TensorDType,
  shape: readonly number[],
  data: ArrayLike<number>,
): Tensor {
  const array = {
    f32: Float32Array,
    f16: Float16Array,
    u32: Uint32Array,
    i32: Int32Array,
    u8: Uint8Array,
  }[dtype];
  return device.from(dtype, shape, array.from(data as ArrayLike<number>));
}

/** A tensor whose bytes are all 0xff, NaN as f32 and f16: elements that a kernel fails to write show. */
export function poisoned(dtype: TensorDType, shape: readonly number[]): Tensor {
  const tensor = device.tensor(dtype, shape);
  device.upload(tensor, new Uint8Array(Math.ceil(tensor.byteLength / 4) * 4).fill(0xff));
  return tensor;
}

/** Returns ‖actual − expected‖ / ‖expected‖, or NaN if there is a NaN anywhere. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert(actual.length === expected.length, `lengths ${actual.length} and ${expected.length}`);
  let error = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(error / (norm || 1));
}

/** Asserts that the relative Frobenius error is at most `tolerance`. NaN fails. */
export function assertNear(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string = "",
): void {
  const error = relativeError(actual, expected);
  assert(error <= tolerance, `${what} relative error ${error.toExponential(2)} > ${tolerance}`);
}

/** Reads a tensor and compares it with {@link assertNear}. */
export async function assertTensor(
  tensor: Tensor,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string = "",
): Promise<void> {
  assertNear((await device.read(tensor)) as ArrayLike<number>, expected, tolerance, what);
}

/**
 * Asserts that each number of a tensor, a sum of `terms` products of {@link values}, is as near as serial f32 sums are:
 * the errors of partial sums add up to 0.14 · terms · 2⁻²⁴ in the root mean square, of which this allows seven.
 */
export async function assertSums(
  tensor: Tensor,
  expected: ArrayLike<number>,
  terms: number,
): Promise<void> {
  const actual = await device.read(tensor) as Float32Array;
  assert(actual.length === expected.length, `lengths ${actual.length} and ${expected.length}`);
  actual.forEach((value, i) => {
    const error = Math.abs(value - expected[i]!);
    assert(error <= terms * 2 ** -24, `${i}: ${value}, not ${expected[i]}`);
  });
}

/** For the name of a test of what only software adapters use: why it is skipped, or nothing. */
export const NEED_CPU: string = device.capabilities.class === "cpu"
  ? ""
  : " (skipped: only software adapters use it, and GPUs would compile it for minutes)";

/** For the name of a test of f16: why it is skipped, or nothing. */
export const NEED_F16: string = device.capabilities.f16
  ? ""
  : " (skipped: the adapter lacks shader-f16)";

/** Tolerance of one kernel by the dtype of its output: f32 for the rounding of sums, f16 for its 11 bits. */
export const TOLERANCE: { readonly f32: number; readonly f16: number } = { f32: 2e-6, f16: 1e-3 };
