import { assertEquals } from "@std/assert";
import { padRows } from "../../../kernels/elementwise/pad_rows.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`padRows() pads rows of ${dtype} with zeros to whole vec4s`, async () => {
    const next = random(17);
    for (const [rows, K] of [[1, 1], [3, 2], [7, 5], [70, 3], [2, 1023]] as const) {
      const x = values(next, rows * K, dtype);
      poisoned("f32", [rows, 1024]).dispose(); // so that memory which is used again is not zero
      using y = padRows(device, upload(dtype, [rows, K], x), K)!;
      assertEquals(y.shape, [rows, Math.ceil(K / 4) * 4]);
      const expected = Float32Array.from(reference.padRows(x, K));
      assertEquals(await device.read(y), expected, `[${rows},${K}]`);
    }
  });
}

Deno.test("padRows() copies nothing if K is divisible by 4", () => {
  assertEquals(padRows(device, poisoned("f32", [3, 8]), 8), null);
});
