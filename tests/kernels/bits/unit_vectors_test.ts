import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { unitVectors } from "../../../kernels/bits/unit_vectors.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("unitVectors() divides rows by their lengths", async () => {
  const next = random(71);
  for (const [rows, d] of [[1, 1], [7, 3], [65, 16], [3, 64], [20, 30]] as const) {
    const x = values(next, rows * d).map((v) => 5 * v);
    const y = poisoned("f32", [rows, d]);
    unitVectors(device, { x: upload("f32", [rows, d], x), y });
    await assertTensor(y, reference.unitVectors(x, d), TOLERANCE.f32, `[${rows}, ${d}]`);
  }
  const y = poisoned("f32", [2, 4]);
  unitVectors(device, { x: upload("f32", [2, 4], [0, 0, 0, 0, 3, 0, 0, -4]), y });
  assertEquals([...await device.read(y)].map((v) => Math.round(v * 10)), [0, 0, 0, 0, 6, 0, 0, -8]);
});

Deno.test("unitVectors() refuses shapes that disagree", () => {
  const x = poisoned("f32", [2, 4]);
  for (const y of [poisoned("f32", [4, 2]), poisoned("f16", [2, 4])]) {
    assertThrows(() => unitVectors(device, { x, y }), KernelError, "unit vectors");
  }
});
