import { assertEquals } from "@std/assert";
import { deepParts, matmulDeep } from "../../../kernels/linear/matmul_deep.ts";
import { matmulMatrix } from "../../../kernels/linear/matmul_matrix.ts";
import { matmulTiles } from "../../../kernels/linear/matmul_tiles.ts";
import { matrixShape } from "../../../kernels/shared/matrix.ts";
import { device, TOLERANCE } from "../harness.ts";
import { assertProduct, type Case, nameOf } from "./products.ts";

const CASES: readonly Case[] = [
  { M: 1, K: 1, N: 1, dtype: "f32", type: "f32", epilogue: "none" },
  { M: 3, K: 2052, N: 36, dtype: "f32", type: "f32", epilogue: "none" },
  { M: 48, K: 4096, N: 108, dtype: "f32", type: "f32", epilogue: "add" },
  { M: 70, K: 1030, N: 132, dtype: "f16", made: "f32", type: "f16", epilogue: "add" },
];

for (const test of CASES) {
  Deno.test(`matmulDeep() multiplies along a long axis, ${nameOf(test)}`, async () => {
    await assertProduct(test, TOLERANCE.f32, (product) => matmulDeep(device, product));
  });
  Deno.test(`matmulTiles() multiplies in as many parts as the axis has, ${nameOf(test)}`, async () => {
    const parts = deepParts(1, test.K);
    await assertProduct(test, TOLERANCE.f32, (product) => matmulTiles(device, product, parts));
  });
}

const ignore = matrixShape(device) === null;
Deno.test({
  name: `matmulMatrix() multiplies in any number of parts${
    ignore ? " (skipped: no subgroup matrices of f16 here)" : ""
  }`,
  ignore,
  async fn() {
    const test = {
      M: 70,
      K: 1030,
      N: 132,
      dtype: "f16",
      made: "f32",
      type: "f16",
      epilogue: "add",
    };
    for (const [tile, split] of [["middle", 2], ["large", 16]] as const) {
      await assertProduct(test as Case, TOLERANCE.f32, (p) => matmulMatrix(device, p, tile, split));
    }
  },
});

Deno.test("A long axis has a power of two of parts, which fill a GPU and are not short", () => {
  assertEquals(deepParts(1, 1 << 20), 64);
  assertEquals(deepParts(7, 1 << 20), 64);
  assertEquals(deepParts(16, 66560), 32);
  assertEquals(deepParts(100, 1 << 20), 4);
  assertEquals(deepParts(1000, 1 << 20), 1);
  assertEquals(deepParts(1, 4000), 4);
  assertEquals(deepParts(1, 511), 1);
});
