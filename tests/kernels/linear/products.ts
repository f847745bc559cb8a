/**
 * Products for the tests of matmul's kernels: operands, and what the plain kernel makes of them.
 *
 * @module
 */

import type { Epilogue } from "../../../kernels/linear/epilogue.ts";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { matmul } from "../../../kernels/linear/matmul.ts";
import type { Product } from "../../../kernels/linear/product.ts";
import type { WeightType } from "../../../kernels/linear/weight_types.ts";
import {
  assertNear,
  assertSameOrder,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";

/** A product to test: shape, types and epilogue. */
export interface Case {
  readonly M: number;
  readonly K: number;
  readonly N: number;
  /** Of x and y. */
  readonly dtype: "f32" | "f16";
  /** Of y, if not that of x. */
  readonly made?: "f32" | "f16";
  readonly type: WeightType;
  readonly epilogue: Epilogue;
  /** Rows of a sequence. */
  readonly rows?: number;
}

/** Reads as one line, for the names of tests. */
export function nameOf({ M, K, N, dtype, type, epilogue }: Case): string {
  return `[${M}, ${K}, ${N}] of ${dtype} by ${type}, ${epilogue}`;
}

/**
 * Makes a product by `multiply` and by the plain kernel, and compares them: with a tolerance, or by {@link assertSameOrder}. Sums of the
 * plain kernel are compared with float64 in matmul_test.ts.
 */
export async function assertProduct(
  test: Case,
  tolerance: number | "same order",
  multiply: (product: Product) => void,
): Promise<void> {
  const { M, K, N, dtype, made = dtype, type, epilogue, rows } = test;
  const next = random(M + K + N);
  const x = upload(dtype, [M, K], values(next, M * K, "f16"));
  const weights = [upload("f32", [N, K], values(next, N * K, "f16"))];
  const bias = epilogue === "gate" ? null : upload("f32", [N], values(next, N));
  const linear = packLinear(device, weights, bias, type, "", false);
  const tensor = upload("f32", [3, N], values(next, 3 * N));
  const gate = { tensor, offset: N, stride: N, rows: Math.ceil(M / 2) };
  const before = values(next, M * N, made);
  const adds = epilogue === "add" || epilogue === "gate";
  const results = [(p: Product) => matmul(device, { ...p, variant: "vector" }), multiply].map(
    (run) => {
      const y = adds ? upload(made, [M, N], before) : poisoned(made, [M, N]);
      run({ x, linear, y, epilogue, ...epilogue === "gate" && { gate }, ...rows && { rows } });
      return y;
    },
  );
  const [expected, actual] = await device.readAll(results) as Float32Array[];
  if (tolerance !== "same order") return assertNear(actual!, expected!, tolerance, nameOf(test));
  assertSameOrder(actual!, expected!, TOLERANCE[made], nameOf(test));
}
