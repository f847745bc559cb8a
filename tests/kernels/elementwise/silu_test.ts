import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { silu } from "../../../kernels/elementwise/silu.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("silu() is x · sigmoid(x)", async () => {
  const next = random(15);
  for (const count of [1, 5, 64, 1003]) {
    const x = values(next, count).map((v) => Math.fround(8 * v));
    const y = poisoned("f32", [count]);
    silu(device, { x: upload("f32", [count], x), y });
    await assertTensor(y, x.map(reference.silu), TOLERANCE.f32);
  }
});

Deno.test("silu() writes nothing beyond a view that ends within a vec4", async () => {
  const y = poisoned("f32", [8]);
  silu(device, { x: upload("f32", [5], [0, 0, 0, 0, 0]), y: y.rows(0, 5) });
  assertEquals([...await device.read(y)], [0, 0, 0, 0, 0, NaN, NaN, NaN]);
});

Deno.test("silu() refuses shapes that disagree", () => {
  const x = upload("f32", [4], [0, 1, 2, 3]);
  assertThrows(() => silu(device, { x, y: poisoned("f32", [5]) }), KernelError);
});
