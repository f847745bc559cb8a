import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { activate } from "../../../kernels/elementwise/activate.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

for (
  const [from, to] of [["f32", "f32"], ["f16", "f16"], ["f32", "f16"], ["f16", "f32"]] as const
) {
  for (const kind of ["gelu", "silu"] as const) {
    Deno.test(`activate() makes ${kind} of ${from} into ${to}`, async () => {
      const next = random(15);
      for (const count of [1, 5, 64, 1003]) {
        const x = values(next, count).map((v) => Math.f16round(5 * v + 4));
        const y = poisoned(to, [count]);
        activate(device, { x: upload(from, [count], x), y, kind });
        await assertTensor(y, x.map(reference.ACTIVATIONS[kind]), TOLERANCE[to]);
      }
    });
  }
}

Deno.test("activate() keeps large values finite", async () => {
  for (const kind of ["gelu", "silu"] as const) {
    const y = poisoned("f32", [4]);
    activate(device, { x: upload("f32", [4], [1e30, -1e12, 1000, -1000]), y, kind });
    assertEquals([...await device.read(y)].map(Math.abs), [Math.fround(1e30), 0, 1000, 0], kind);
    const narrow = poisoned("f16", [2]);
    activate(device, { x: upload("f32", [2], [1e6, 2]), y: narrow, kind });
    assertEquals((await device.read(narrow))[0], 65504);
  }
});

Deno.test("activate() writes nothing beyond a view that ends within a vec4", async () => {
  const y = poisoned("f32", [8]);
  activate(device, { x: upload("f32", [5], [0, 0, 0, 0, 0]), y: y.rows(0, 5), kind: "silu" });
  assertEquals([...await device.read(y)], [0, 0, 0, 0, 0, NaN, NaN, NaN]);
});

Deno.test("activate() refuses shapes that disagree", () => {
  const x = upload("f32", [4], [0, 1, 2, 3]);
  assertThrows(
    () => activate(device, { x, y: poisoned("f32", [5]), kind: "silu" }),
    KernelError,
    "Cannot write silu of [4] to [5]",
  );
});
