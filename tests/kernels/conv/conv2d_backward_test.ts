import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { conv2dBackward } from "../../../kernels/conv/conv2d_backward.ts";
import type { WeightVariant } from "../../../kernels/conv/conv2d_backward_args.ts";
import { usesTexture } from "../../../kernels/shared/textures.ts";
import { centralDifferences } from "../central_differences.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

const CASES: reference.Case[] = [
  { x: [1, 1, 1, 1], N: 1, size: 1 },
  { x: [1, 1, 1, 1], N: 1, size: 3 },
  { x: [2, 3, 4, 3], N: 5, size: 3 },
  { x: [1, 4, 5, 6], N: 3, size: 1 },
  { x: [2, 4, 2, 4], N: 4, size: 3, stride: 2, padding: "after" },
  { x: [1, 5, 7, 3], N: 6, size: 3, stride: 2, padding: "after" },
  { x: [1, 3, 4, 2], N: 5, size: 3, stride: 2 },
  { x: [2, 1, 2, 5], N: 3, size: 3, upsample: true },
  { x: [1, 3, 2, 4], N: 4, size: 3, upsample: true },
  { x: [1, 3, 3, 3], N: 2, size: 1, upsample: true },
  { x: [1, 4, 3, 2], N: 3, size: 3, padding: "after" },
  { x: [2, 9, 10, 36], N: 68, size: 3 },
  { x: [1, 5, 7, 70], N: 36, size: 3, upsample: true },
  { x: [3, 16, 6, 32], N: 40, size: 3, stride: 2, padding: "after" },
  { x: [2, 8, 8, 3], N: 32, size: 3 },
  { x: [2, 8, 8, 32], N: 3, size: 3 },
];

/** How many of them are small enough for differences. */
const SMALL = 11;

const VARIANTS: WeightVariant[] = usesTexture(device) ? ["texture", "product"] : ["product"];

function draw(next: () => number, c: reference.Case, dtype: "f32" | "f16" = "f32") {
  const { x: [B, H, W, C], N, size } = c;
  const [OH, OW] = reference.outputSize(c);
  return {
    x: values(next, B * H * W * C, dtype),
    w: values(next, N * C * size * size, dtype),
    dy: values(next, B * OH * OW * N, dtype),
    shapes: { x: [B, H, W, C], w: [N, C, size, size], dy: [B, OH, OW, N] },
  };
}

Deno.test("The reference of conv2dBackward() is the gradient of that of conv2d()", () => {
  const next = random(51);
  for (const c of CASES.slice(0, SMALL)) {
    const { x, w, dy } = draw(next, c), bias = values(next, c.N);
    const forward = (x: Float64Array, w: Float64Array, b: Float64Array) =>
      reference.conv2d(c, x, w, b);
    const [dx, dw, db] = centralDifferences(forward as (...all: Float64Array[]) => Float64Array, [
      x,
      w,
      bias,
    ], dy);
    const found = reference.conv2dBackward(c, x, w, dy);
    const what = JSON.stringify(c);
    assertNear(found.dx, dx!, 1e-7, what);
    assertNear(found.dw, dw!, 1e-7, what);
    assertNear(found.db, db!, 1e-7, what);
  }
});

for (const variant of VARIANTS) {
  for (const dtype of ["f32", "f16"] as const) {
    Deno.test(`conv2dBackward() sends ${dtype} back through odd shapes, or adds, by ${variant}`, async () => {
      const next = random(52);
      for (const c of CASES) {
        const { x, w, dy, shapes } = draw(next, c, dtype);
        const expected = reference.conv2dBackward(c, x, w, dy);
        const operands = {
          ...c,
          x: upload(dtype, shapes.x, x),
          weight: upload("f32", shapes.w, w),
          dy: upload(dtype, shapes.dy, dy),

          dtype,
          variant,
        };
        const what = JSON.stringify(c);
        const fresh = (dtype: "f32" | "f16", shape: number[]) => ({
          tensor: poisoned(dtype, shape),
          add: false,
        });
        const dx = fresh(dtype, shapes.x),
          dweight = fresh("f32", shapes.w),
          dbias = fresh("f32", [c.N]);
        conv2dBackward(device, { ...operands, dx, dweight, dbias });
        await assertTensor(dx.tensor, expected.dx, TOLERANCE[dtype], `dx ${what}`);
        await assertTensor(dweight.tensor, expected.dw, TOLERANCE.f32, `dw ${what}`);
        await assertTensor(dbias.tensor, expected.db, TOLERANCE.f32, `db ${what}`);
        const before = [x, w, values(next, c.N)].map((v) => v.map((_, i) => i % 5 - 2));
        const [a, b, d] = before.map((v, i) => upload("f32", [shapes.x, shapes.w, [c.N]][i]!, v));
        const added = [a, b, d].map((tensor) => ({ tensor: tensor!, add: true }));
        conv2dBackward(device, {
          ...operands,
          dtype: "f32",
          dx: added[0]!,
          dweight: added[1]!,
          dbias: added[2]!,
        });
        const sums = [expected.dx, expected.dw, expected.db];
        for (const [k, sum] of sums.entries()) {
          const both = sum.map((v, i) => v + before[k]![i]!);
          await assertTensor(added[k]!.tensor, both, TOLERANCE.f32, `${k} added ${what}`);
        }
      }
    });
  }
}

Deno.test("conv2dBackward() computes only what is asked for", async () => {
  const c: reference.Case = { x: [1, 3, 4, 4], N: 8, size: 3 };
  const { x, w, dy, shapes } = draw(random(53), c);
  const expected = reference.conv2dBackward(c, x, w, dy);
  const operands = {
    x: upload("f32", shapes.x, x),
    weight: upload("f32", shapes.w, w),
    dy: upload("f32", shapes.dy, dy),
    dx: null,
    dweight: null,
    dbias: null,
  };
  const before = device.counters.dispatches;
  conv2dBackward(device, operands);
  assertEquals(device.counters.dispatches, before);
  const dweight = { tensor: poisoned("f32", shapes.w), add: false };
  conv2dBackward(device, { ...operands, dweight });
  await assertTensor(dweight.tensor, expected.dw, TOLERANCE.f32);
  const dx = { tensor: poisoned("f32", shapes.x), add: false };
  conv2dBackward(device, { ...operands, dx });
  await assertTensor(dx.tensor, expected.dx, TOLERANCE.f32);
});

Deno.test("conv2dBackward() sends a batch back in parts, whose images have the bits of images alone", async () => {
  // products of three images, and patches of three, are as many as it makes at once
  const c: reference.Case = { x: [4, 128, 128, 128], N: 4, size: 3, stride: 2, padding: "after" };
  const next = random(54);
  const { x, w, dy, shapes } = draw(next, c);
  const weight = upload("f32", shapes.w, w);
  const run = (images: number, x: Float64Array, dy: Float64Array) => {
    const operands = {
      x: upload("f32", [images, ...shapes.x.slice(1)], x),
      dy: upload("f32", [images, ...shapes.dy.slice(1)], dy),
    };
    const dx = { tensor: poisoned("f32", operands.x.shape), add: false };
    const dweight = { tensor: poisoned("f32", shapes.w), add: false };
    const { stride, padding } = c;
    const how = { stride, padding, dbias: null, variant: "product" } as const;
    conv2dBackward(device, { ...operands, weight, dx, dweight, ...how });
    return [dx.tensor, dweight.tensor] as const;
  };
  const all = await device.readAll(run(4, x, dy));
  const of = (values: Float64Array, i: number) =>
    values.subarray(values.length / 4 * i, values.length / 4 * (i + 1));
  const sum = new Float64Array(w.length);
  for (const i of [0, 1, 2, 3]) {
    const [dx, dw] = await device.readAll(run(1, of(x, i), of(dy, i)));
    assertEquals(all[0]!.subarray(x.length / 4 * i, x.length / 4 * (i + 1)), dx);
    dw!.forEach((v, k) => sum[k]! += Number(v));
  }
  assertNear(all[1]! as Float32Array, sum, TOLERANCE.f32);
});

Deno.test("conv2dBackward() refuses shapes that disagree", () => {
  const operands = {
    x: poisoned("f32", [1, 4, 4, 8]),
    weight: poisoned("f32", [4, 8, 3, 3]),
    dy: poisoned("f32", [1, 4, 4, 4]),
    dx: null,
    dweight: null,
    dbias: null,
  };
  for (
    const wrong of [
      { dy: poisoned("f32", [1, 2, 4, 4]) },
      { stride: 2 as const },
      { weight: poisoned("f32", [4, 4, 3, 3]) },
      { dx: { tensor: poisoned("f32", [1, 4, 4, 4]), add: false } },
      { dweight: { tensor: poisoned("f32", [4, 4, 3, 3]), add: false } },
      { dbias: { tensor: poisoned("f32", [8]), add: false } },
      { dweight: { tensor: poisoned("f16", [4, 8, 3, 3]), add: false } },
    ]
  ) assertThrows(() => conv2dBackward(device, { ...operands, ...wrong }), KernelError, "Cannot");
});
