import { assertEquals } from "@std/assert";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { matmulRows, type Sharing, sharing } from "../../../kernels/linear/matmul_rows.ts";
import { device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import { assertProduct, type Case, nameOf } from "./products.ts";

const CASES: readonly Case[] = [
  { M: 1, K: 1, N: 1, dtype: "f32", type: "f32", epilogue: "none" },
  { M: 2, K: 2048, N: 32, dtype: "f32", type: "f16", epilogue: "none", rows: 1 },
  { M: 2, K: 300, N: 130, dtype: "f16", type: "f16", epilogue: "silu", rows: 1 },
  { M: 5, K: 515, N: 70, dtype: "f32", type: "f32", epilogue: "gelu", rows: 4 },
  { M: 11, K: 1030, N: 136, dtype: "f32", type: "q8_0", epilogue: "gate", rows: 4 },
  { M: 33, K: 654, N: 515, dtype: "f32", type: "q4_0", epilogue: "add", rows: 16 },
  { M: 19, K: 16, N: 96, dtype: "f32", type: "f32", epilogue: "none" },
];

for (const test of CASES) {
  Deno.test(`matmulRows() multiplies ${nameOf(test)}`, async () => {
    await assertProduct(test, TOLERANCE[test.dtype], (product) => matmulRows(device, product));
  });
}

const WAYS: readonly Sharing[] = [
  { across: 2, workgroup: 64, lanes: 1 },
  { across: 4, workgroup: 256, lanes: 1 },
  { across: 16, workgroup: 128, lanes: 1 },
];

for (const how of WAYS) {
  Deno.test(`matmulRows() shares K without subgroups, ${Object.values(how)}`, async () => {
    const test = { M: 5, K: 515, N: 70, dtype: "f32", type: "f32", epilogue: "none" } as const;
    await assertProduct(test, TOLERANCE.f32, (product) => matmulRows(device, product, how));
  });
}

Deno.test("sharing() follows the rows of one sequence, and has no more invocations than work", () => {
  const { subgroups, subgroupSize, limits } = device.capabilities;
  const of = (rows: number, K: number, N: number) => {
    const { across, workgroup, lanes } = sharing(device, rows, K, N);
    assertEquals(lanes, subgroups && subgroupSize > across ? subgroupSize : 1);
    return [across, workgroup];
  };
  const most = subgroupSize ? limits.maxComputeInvocationsPerWorkgroup! : 256;
  const [all, half] = [Math.min(1024, most), Math.min(512, most)];
  assertEquals(of(1, 2048, 2048), [4, all]);
  assertEquals(of(1, 8192, 2048), [4, all]);
  assertEquals(of(1, 2048, 8192), [8, half]);
  assertEquals(of(4, 2048, 2048), [4, half]);
  assertEquals(of(4, 2048, 8192), [16, half]);
  assertEquals(of(16, 2048, 2048), [16, half]);
  assertEquals(of(36, 2048, 32), [2, half]);
  assertEquals(of(576, 2048, 32), [4, half]);
  assertEquals(of(1, 256, 256), [4, 256]);
  assertEquals(of(1, 3, 3), [2, 64]);
});

Deno.test("matmulRows() makes the same bits of a row in a batch of any size", async () => {
  const [K, N, rows] = [520, 72, 1], next = random(4);
  const weights = [upload("f32", [N, K], values(next, N * K))];
  const linear = packLinear(device, weights, null, "f32", "", false);
  const data = values(next, 19 * K);
  const made = [2, 8, 19].map((M) => {
    const y = poisoned("f32", [M, N]);
    matmulRows(device, { x: upload("f32", [M, K], data.slice(0, M * K)), linear, y, rows });
    return y;
  });
  const [two, eight, all] = await device.readAll(made);
  assertEquals(all!.slice(0, 2 * N), two);
  assertEquals(all!.slice(0, 8 * N), eight);
});
