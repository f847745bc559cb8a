import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";

Deno.test("accumulate() copies, or adds, from any float type to any", async () => {
  const next = random(31);
  for (const from of ["f32", "f16"] as const) {
    for (const to of ["f32", "f16"] as const) {
      for (const count of [1, 5, 64, 1003]) {
        const x = values(next, count, from);
        const before = values(next, count, to);
        const y = poisoned(to, [count]);
        accumulate(device, upload(from, [count], x), { tensor: y, add: false });
        await assertTensor(y, x, TOLERANCE[to]);
        const z = upload(to, [count], before);
        accumulate(device, upload(from, [count], x), { tensor: z, add: true });
        await assertTensor(z, x.map((v, i) => v + before[i]!), TOLERANCE[to]);
      }
    }
  }
});

Deno.test("accumulate() writes nothing beyond a view, and refuses shapes that disagree", async () => {
  const y = poisoned("f32", [8]);
  accumulate(device, upload("f32", [5], [1, 2, 3, 4, 5]), { tensor: y.rows(0, 5), add: false });
  assertEquals([...await device.read(y)], [1, 2, 3, 4, 5, NaN, NaN, NaN]);
  assertThrows(() => accumulate(device, y, { tensor: y.rows(0, 5), add: false }), KernelError);
});
