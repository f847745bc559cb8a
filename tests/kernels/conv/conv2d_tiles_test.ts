import { assertEquals } from "@std/assert";
import { conv2d, type Conv2dArgs } from "../../../kernels/conv/conv2d.ts";
import { packConv } from "../../../kernels/conv/conv2d_weight.ts";
import { convParts } from "../../../kernels/conv/conv2d_tiles.ts";
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

/** A convolution: the shape of x, the extent of y, output channels, kernel size, type and options. */
interface Case extends Pick<Conv2dArgs, "stride" | "upsample" | "padding" | "epilogue"> {
  readonly x: readonly [B: number, H: number, W: number, C: number];
  readonly to?: readonly [H: number, W: number];
  readonly N: number;
  readonly size: 1 | 3;
  readonly dtype?: "f16";
}

/** Convolves by tiles and by the plain kernel; returns what both make. */
async function both(test: Case): Promise<[tiles: Float32Array, plain: Float32Array]> {
  const { x: shape, to = shape.slice(1, 3), N, size, dtype = "f32", ...how } = test;
  const made = [shape[0], ...to, N];
  const next = random(N);
  const x = upload(dtype, [...shape], values(next, shape.reduce((a, b) => a * b), dtype));
  const weight = upload("f32", [N, shape[3], size, size], values(next, N * shape[3] * size * size));
  const bias = upload("f32", [N], values(next, N));
  const conv = packConv(device, weight, bias, dtype, "weight", false);
  const before = values(next, made.reduce((a, b) => a * b));
  const [tiles, plain] = (["tiles", "vector"] as const).map((variant) => {
    const y = how.epilogue === "add" ? upload("f32", made, before) : poisoned(dtype, made);
    conv2d(device, { x, conv, y, ...how, variant });
    return y;
  });
  return await device.readAll([tiles!, plain!]) as [Float32Array, Float32Array];
}

const CASES: readonly Case[] = [
  { x: [1, 1, 1, 1], N: 1, size: 1 },
  { x: [2, 9, 8, 36], N: 140, size: 3 },
  { x: [3, 3, 5, 7], N: 130, size: 1, epilogue: "add" },
  { x: [2, 7, 5, 6], to: [3, 2], N: 68, size: 3, stride: 2, padding: "after", dtype: "f16" },
  { x: [2, 3, 4, 40], to: [6, 8], N: 5, size: 3, upsample: true },
  { x: [1, 5, 8, 16], N: 66, size: 3, epilogue: "add" },
];

for (const test of CASES) {
  Deno.test(`conv2dTiles() adds in the order of the plain kernel, ${JSON.stringify(test)}`, async () => {
    const [tiles, plain] = await both(test);
    assertSameOrder(tiles, plain, TOLERANCE[test.dtype ?? "f32"]);
  });
}

const SPLIT: readonly (readonly [parts: number, Case])[] = [
  [2, { x: [3, 5, 7, 60], N: 67, size: 3, dtype: "f16" }],
  [4, { x: [1, 9, 8, 128], N: 132, size: 3, epilogue: "add" }],
];

for (const [parts, test] of SPLIT) {
  Deno.test(`conv2dTiles() convolves in ${parts} parts, ${JSON.stringify(test)}`, async () => {
    const { x: [, H, W, C], N, size, dtype = "f32" } = test;
    assertEquals(convParts(device, H * W, { C, N, size }), parts);
    const [tiles, plain] = await both(test);
    assertNear(tiles, plain, TOLERANCE[dtype]);
  });
}

Deno.test("conv2dTiles() makes the same bits in strips, in parts too", async () => {
  const next = random(5);
  for (const [C, N] of [[36, 66], [60, 65]] as const) {
    const [B, H, W] = [2, 7, 5];
    const x = values(next, B * H * W * C);
    const weight = upload("f32", [N, C, 3, 3], values(next, N * C * 9));
    const conv = packConv(device, weight, upload("f32", [N], values(next, N)), "f32", "", false);
    const [whole, strips] = [poisoned("f32", [B, H, W, N]), poisoned("f32", [B, H, W, N])];
    conv2d(device, { x: upload("f32", [B, H, W, C], x), conv, y: whole, variant: "tiles" });
    for (let image = 0; image < B; image++) {
      for (const [first, count] of [[0, 3], [3, 1], [4, 3]] as const) {
        const [begin, end] = [Math.max(0, first - 1), Math.min(H, first + count + 1)];
        const rows = x.subarray((image * H + begin) * W * C, (image * H + end) * W * C);
        const part = upload("f32", [1, end - begin, W, C], rows);
        const strip = { image, begin, first, count };
        conv2d(device, { x: part, conv, y: strips, strip, variant: "tiles" });
      }
    }
    const [a, b] = await device.readAll([strips, whole]);
    assertEquals(a, b);
  }
});

Deno.test("conv2dTiles() pads with zeros whatever lies outside the image", async () => {
  // infinite numbers of a neighbouring image must not leak in as 0 · ∞
  const ones = Float64Array.from({ length: 32 }, (_, i) => i < 16 ? 1 : Infinity);
  const weight = upload("f32", [4, 4, 3, 3], new Float64Array(144).fill(1));
  const conv = packConv(device, weight, upload("f32", [4], [0, 0, 0, 0]), "f32", "", false);
  const y = poisoned("f32", [2, 2, 2, 4]);
  conv2d(device, { x: upload("f32", [2, 2, 2, 4], ones), conv, y, variant: "tiles" });
  assertEquals([...(await device.read(y)).slice(0, 16)], new Array(16).fill(16));
});
