import { assertEquals } from "@std/assert";
import { matmulTiles } from "../../../kernels/linear/matmul_tiles.ts";
import { rowsInParts } from "../../../kernels/linear/sum_parts.ts";
import { device, TOLERANCE } from "../harness.ts";
import { assertProduct, type Case, nameOf } from "./products.ts";

const CASES: readonly Case[] = [
  { M: 1, K: 1, N: 1, dtype: "f32", type: "f32", epilogue: "none" },
  { M: 133, K: 72, N: 140, dtype: "f32", type: "f32", epilogue: "none" },
  { M: 65, K: 33, N: 7, dtype: "f16", type: "f16", epilogue: "silu" },
  { M: 5, K: 108, N: 68, dtype: "f32", type: "q8_0", epilogue: "add" },
  { M: 600, K: 40, N: 260, dtype: "f32", type: "q4_0", epilogue: "gate" },
  { M: 64, K: 64, N: 130, dtype: "f32", type: "f16", epilogue: "gelu" },
];

for (const test of CASES) {
  Deno.test(`matmulTiles() adds in the order of the plain kernel, ${nameOf(test)}`, async () => {
    await assertProduct(test, "same order", (product) => matmulTiles(device, product));
  });
}

const SPLIT: readonly (readonly [parts: number, Case])[] = [
  [2, { M: 70, K: 64, N: 129, dtype: "f32", type: "f16", epilogue: "gelu" }],
  [4, { M: 65, K: 197, N: 68, dtype: "f32", type: "q8_0", epilogue: "gate" }],
  [8, { M: 3, K: 515, N: 7, dtype: "f16", type: "q4_0", epilogue: "silu" }],
  [8, { M: 130, K: 512, N: 260, dtype: "f32", type: "f32", epilogue: "add" }],
];

for (const [parts, test] of SPLIT) {
  Deno.test(`matmulTiles() multiplies in ${parts} parts, ${nameOf(test)}`, async () => {
    await assertProduct(test, TOLERANCE[test.dtype], (p) => matmulTiles(device, p, parts));
  });
}

Deno.test("matmulTiles() sums parts of some rows at a time, where all would take too much memory", async () => {
  assertEquals(rowsInParts(8, 32768), 128);
  const test = { M: 130, K: 64, N: 32768, dtype: "f32", type: "f32", epilogue: "gate" } as const;
  await assertProduct(test, TOLERANCE.f32, (product) => matmulTiles(device, product, 8));
});
