import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { gatedGelu } from "../../../kernels/elementwise/gated_gelu.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

for (const [from, to] of [["f32", "f32"], ["f16", "f16"], ["f32", "f16"]] as const) {
  Deno.test(`gatedGelu() gates ${from} into ${to}`, async () => {
    const next = random(1);
    for (const [T, F] of [[1, 1], [1, 4], [3, 7], [5, 192], [70, 33]] as const) {
      const h = values(next, T * 2 * F).map((v) => Math.f16round(v * 5));
      const y = poisoned(to, [T, F]);
      gatedGelu(device, { h: upload(from, [T, 2 * F], h), y });
      await assertTensor(y, reference.gatedGelu(h, F), TOLERANCE[to], `[${T},${F}]`);
    }
  });
}

Deno.test("gatedGelu() keeps large values finite", async () => {
  const h = Float64Array.of(1000, -1000, 0, 60, 2, 2, 2, 0.5);
  const y = poisoned("f32", [1, 4]);
  gatedGelu(device, { h: upload("f32", [1, 8], h), y });
  await assertTensor(y, [2000, 0, 0, 30], 1e-6);
  const narrow = poisoned("f16", [1, 4]);
  gatedGelu(device, {
    h: upload("f32", [1, 8], [1000, 1000, 1000, NaN, 1000, -1000, 60, 1]),
    y: narrow,
  });
  assertEquals(await device.read(narrow), Float16Array.of(65504, -65504, 60000, NaN));
});

Deno.test("gatedGelu() refuses shapes that disagree", () => {
  assertThrows(
    () => gatedGelu(device, { h: poisoned("f32", [3, 8]), y: poisoned("f32", [3, 8]) }),
    KernelError,
    "Cannot gate [3,8] into [3,8]",
  );
});
