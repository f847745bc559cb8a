import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { unitVectorsBackward } from "../../../kernels/bits/unit_vectors_backward.ts";
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

Deno.test("unitVectorsBackward() is the gradient of unitVectors()", async () => {
  const next = random(72);
  for (const [rows, d] of [[1, 2], [7, 3], [65, 16], [3, 64], [20, 30]] as const) {
    const x = values(next, rows * d), dy = values(next, rows * d), before = values(next, rows * d);
    const expected = reference.unitVectorsBackward(x, dy, d);
    const [differences] = centralDifferences((x) => reference.unitVectors(x!, d), [x], dy);
    assertNear(expected, differences!, 1e-7, "the reference");
    const shape = [rows, d];
    const args = { x: upload("f32", shape, x), dy: upload("f32", shape, dy) };
    const dx = poisoned("f32", shape);
    unitVectorsBackward(device, { ...args, dx: { tensor: dx, add: false } });
    await assertTensor(dx, expected, TOLERANCE.f32, `[${shape}]`);
    const added = upload("f32", shape, before);
    unitVectorsBackward(device, { ...args, dx: { tensor: added, add: true } });
    await assertTensor(added, expected.map((v, i) => v + before[i]!), TOLERANCE.f32, "added");
  }
});

Deno.test("unitVectorsBackward() gives vectors without a direction no gradient", async () => {
  const dx = poisoned("f32", [1, 4]);
  unitVectorsBackward(device, {
    x: upload("f32", [1, 4], [0, 0, 0, 0]),
    dy: upload("f32", [1, 4], [1, 2, 3, 4]),
    dx: { tensor: dx, add: false },
  });
  assertEquals([...await device.read(dx)], [0, 0, 0, 0]);
});

Deno.test("unitVectorsBackward() refuses shapes that disagree", () => {
  const x = poisoned("f32", [2, 4]);
  for (const other of [poisoned("f32", [4, 2]), poisoned("f16", [2, 4])]) {
    const dx = { tensor: other, add: false };
    assertThrows(() => unitVectorsBackward(device, { x, dy: x, dx }), KernelError, "gradient");
    const own = { tensor: x, add: false };
    assertThrows(() => unitVectorsBackward(device, { x, dy: other, dx: own }), KernelError);
  }
});
