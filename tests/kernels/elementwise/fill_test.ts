import { assertEquals } from "@std/assert";
import { fill } from "../../../kernels/elementwise/fill.ts";
import { device, poisoned } from "../harness.ts";

Deno.test("fill() sets all elements, and nothing beyond a view", async () => {
  for (const dtype of ["f32", "f16"] as const) {
    for (const count of [1, 5, 64, 1003]) {
      const y = poisoned(dtype, [count + 3]);
      fill(device, y.rows(0, count), -0.5);
      const expected = Array.from({ length: count + 3 }, (_, i) => i < count ? -0.5 : NaN);
      assertEquals([...(await device.read(y)) as Float32Array], expected);
    }
  }
});
