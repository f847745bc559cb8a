import { assert, assertEquals } from "@std/assert";
import { Device, dryGpu } from "../../../engine/mod.ts";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { matmulMatrix, matrixRegime } from "../../../kernels/linear/matmul_matrix.ts";
import { matrixShape, type MatrixTile } from "../../../kernels/shared/matrix.ts";
import { emulateMatrix, NEED_EMULATION } from "../emulated_matrices.ts";
import { device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import { assertProduct, type Case, nameOf } from "./products.ts";

const ignore = matrixShape(device) === null;
const NEED = ignore ? " (skipped: no subgroup matrices of f16 here)" : "";

/** x and w in units of 8 halves, whole and not; in vec4s; in scalars; quantised. */
const CASES: readonly (readonly [MatrixTile, Case])[] = [
  ["middle", { M: 70, K: 128, N: 72, dtype: "f16", made: "f32", type: "f16", epilogue: "gelu" }],
  ["middle", { M: 133, K: 72, N: 136, dtype: "f16", made: "f32", type: "f16", epilogue: "none" }],
  ["middle", { M: 133, K: 76, N: 140, dtype: "f32", type: "f16", epilogue: "none" }],
  ["middle", { M: 65, K: 33, N: 7, dtype: "f16", type: "f16", epilogue: "silu" }],
  ["middle", { M: 1, K: 1, N: 1, dtype: "f32", type: "f16", epilogue: "none" }],
  ["middle", { M: 5, K: 104, N: 68, dtype: "f32", type: "q8_0", epilogue: "add" }],
  ["middle", { M: 9, K: 40, N: 72, dtype: "f16", made: "f32", type: "q4_0", epilogue: "gate" }],
  ["large", { M: 133, K: 72, N: 136, dtype: "f16", made: "f32", type: "f16", epilogue: "none" }],
  ["split8", { M: 6, K: 208, N: 72, dtype: "f16", made: "f32", type: "q8_0", epilogue: "none" }],
  ["split8", { M: 3, K: 515, N: 7, dtype: "f16", type: "q4_0", epilogue: "silu" }],
  ["split8", { M: 70, K: 320, N: 136, dtype: "f16", made: "f32", type: "f16", epilogue: "gate" }],
  // fewer tiles along K than parts
  ["split4", { M: 130, K: 40, N: 136, dtype: "f16", made: "f32", type: "f16", epilogue: "add" }],
];

for (const [tile, test] of CASES) {
  const { type, dtype, made = dtype } = test;
  // of weights, integers times scales are rounded to f16
  const tolerance = TOLERANCE[type === "f16" ? made : "f16"];
  Deno.test({
    name: `matmulMatrix() multiplies by ${tile} tiles, ${nameOf(test)}${NEED}`,
    ignore,
    fn: () => assertProduct(test, tolerance, (p) => matmulMatrix(device, p, tile)),
  });
}

Deno.test({
  name: `matmulMatrix() is right with the matrices of NVIDIA, emulated${NEED_EMULATION}`,
  ignore: NEED_EMULATION !== "",
  fn: async () => {
    for (const [M, N, K] of [[16, 16, 16], [16, 8, 16]] as const) {
      using _ = emulateMatrix(device, M, N, K);
      for (
        const [tile, type] of [["large", "f16"], ["middle", "q8_0"], ["split8", "f16"]] as const
      ) {
        const shape = { M: 133, K: 136, N: 136, made: "f32" } as const;
        const test = { ...shape, dtype: "f16", type, epilogue: "gelu" } as const;
        const tolerance = TOLERANCE[type === "f16" ? "f32" : "f16"];
        await assertProduct(test, tolerance, (p) => matmulMatrix(device, p, tile));
      }
    }
  },
});

Deno.test({
  name: `matmulMatrix() makes the bits of a row whatever the others and the tile${NEED}`,
  ignore,
  fn: async () => {
    const [M, K, N] = [133, 72, 136], next = random(8);
    const x = values(next, M * K, "f16"), w = upload("f32", [N, K], values(next, N * K, "f16"));
    const linear = packLinear(device, [w], upload("f32", [N], values(next, N)), "f16", "", false);
    const run = (tile: MatrixTile, first = 0, rows = M) => {
      const part = upload("f16", [rows, K], x.slice(first * K, (first + rows) * K));
      const y = poisoned("f32", [rows, N]);
      matmulMatrix(device, { x: part, linear, y, epilogue: "none" }, tile);
      return y;
    };
    const [middle, large, one, split, splitOne] = await device.readAll([
      run("middle"),
      run("large"),
      run("middle", 117, 1),
      run("split8"),
      run("split8", 117, 1),
    ]);
    assertEquals(large, middle);
    assertEquals(one, middle!.slice(117 * N, 118 * N));
    assertEquals(splitOne, split!.slice(117 * N, 118 * N));
  },
});

Deno.test({
  name: `matmulMatrix() clamps x to the range of f16, and keeps NaN${NEED}`,
  ignore,
  fn: async () => {
    const linear = packLinear(
      device,
      [upload("f32", [4, 4], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])],
      null,
      "f16",
      "test",
      false,
    );
    const x = upload("f32", [3, 4], [1e5, -1e9, 3, 0, NaN, 0, 0, 0, Infinity, 0, 0, 0]);
    const y = poisoned("f32", [3, 4]);
    matmulMatrix(device, { x, linear, y }, "middle");
    const [a, b, c, d, ...rest] = await device.read(y) as Float32Array;
    assertEquals([a, b, c, d], [65504, -65504, 3, 0]);
    assert(Number.isNaN(rest[0]) && !Number.isFinite(rest[4]), `${rest}`);
  },
});

Deno.test("matrixRegime() shares sums by the rows of a sequence, whatever the batch", async () => {
  using device = await Device.open({ gpu: dryGpu() });
  const regimes = (K: number, N: number, batch: number) =>
    [1, 4, 16, 36, 64, 256, 576, 1024, 4096].map((rows) =>
      matrixRegime(device, K, N, rows, batch * rows)
    );
  const few = ["rows", "rows", "split8"];
  const many = ["large", "large", "large"];
  assertEquals(regimes(2048, 8192, 2), [...few, "middle", "middle", "middle", ...many]);
  assertEquals(regimes(8192, 2048, 2), [...few, "split8", "split8", "split4", ...many]);
  assertEquals(regimes(2048, 32, 2), new Array(9).fill("rows"));
  // a short common axis is not worth sharing
  assertEquals(regimes(256, 256, 2).slice(0, 4), ["rows", "rows", "middle", "middle"]);
  // tiles may grow with the batch, since they change no bit; shares of K may not
  assertEquals(regimes(2048, 8192, 8), [...few, "middle", "middle", "large", ...many]);
  assertEquals(regimes(8192, 2048, 8), regimes(8192, 2048, 2));
  assertEquals(regimes(2048, 8192, 1), regimes(2048, 8192, 2));
});
