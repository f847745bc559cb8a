/**
 * Products for the tests of matmul's kernels: operands between guard values, and what the plain kernel makes of them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Tensor } from "../../../engine/mod.ts";
import type { Epilogue } from "../../../kernels/linear/epilogue.ts";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { matmul } from "../../../kernels/linear/matmul.ts";
import type { Product } from "../../../kernels/linear/product.ts";
import type { WeightType } from "../../../kernels/linear/weight_types.ts";
import { assertNear, device, random, upload, values } from "../harness.ts";

/** A product to test: shape, types and epilogue. */
export interface Case {
  readonly M: number;
  readonly K: number;
  readonly N: number;
  /** Of x and y. */
  readonly dtype: "f32" | "f16";
  readonly type: WeightType;
  readonly epilogue: Epilogue;
  /** Rows of a sequence. */
  readonly rows?: number;
}

/** Reads as one line, for the names of tests. */
export function nameOf({ M, K, N, dtype, type, epilogue }: Case): string {
  return `[${M}, ${K}, ${N}] of ${dtype} by ${type}, ${epilogue}`;
}

/** Rows of NaN before and after x and y: what reads or writes beyond them shows. */
const GUARD = 16;

/** Returns a tensor of M rows with rows of NaN around it, and all of it. */
function guarded(
  dtype: "f32" | "f16",
  [M, width]: readonly [number, number],
  data: Float64Array,
): [rows: Tensor, all: Tensor] {
  // bindings start at multiples of 256 bytes
  const guard = GUARD * 256;
  const all = new Float64Array(M * width + 2 * guard).fill(NaN);
  all.set(data, guard);
  const tensor = upload(dtype, [all.length, 1], all);
  return [tensor.rows(guard, M * width).reshape(M, width), tensor];
}

/**
 * Makes a product by `multiply` and by the plain kernel, and compares them: with a tolerance, or the bits. Sums of the
 * plain kernel are compared with float64 in matmul_test.ts.
 */
export async function assertProduct(
  test: Case,
  tolerance: number | "same bits",
  multiply: (product: Product) => void,
): Promise<void> {
  const { M, K, N, dtype, type, epilogue, rows } = test;
  const next = random(M + K + N);
  const [x] = guarded(dtype, [M, K], values(next, M * K, dtype));
  const weights = [upload("f32", [N, K], values(next, N * K, "f16"))];
  const bias = epilogue === "gate" ? null : upload("f32", [N], values(next, N));
  const linear = packLinear(device, weights, bias, type, "", false);
  const tensor = upload("f32", [3, N], values(next, 3 * N));
  const gate = { tensor, offset: N, stride: N, rows: Math.ceil(M / 2) };
  const before = epilogue === "add" || epilogue === "gate"
    ? values(next, M * N, dtype)
    : new Float64Array(M * N).fill(NaN);
  const made = [(p: Product) => matmul(device, { ...p, variant: "vector" }), multiply].map(
    (run) => {
      const [y, all] = guarded(dtype, [M, N], before);
      run({ x, linear, y, epilogue, ...epilogue === "gate" && { gate }, ...rows && { rows } });
      return all;
    },
  );
  const [expected, all] = await device.readAll(made) as Float32Array[];
  const guard = GUARD * 256;
  assertEquals(all!.subarray(0, guard).findIndex((v) => !Number.isNaN(v)), -1, "before y");
  assertEquals(all!.subarray(guard + M * N).findIndex((v) => !Number.isNaN(v)), -1, "after y");
  const [a, b] = [all!, expected!].map((v) => v.subarray(guard, guard + M * N));
  if (tolerance !== "same bits") return assertNear(a!, b!, tolerance, nameOf(test));
  const different = a!.findIndex((v, i) => v !== b![i]); // NaN differs from itself, too
  assertEquals(different, -1, `${different}: ${a![different]}, not ${b![different]}`);
}
