import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { copyRows } from "../../../kernels/tokens/copy_rows.ts";
import { assertTensor, device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("copyRows() copies the first rows of each image and nothing else", async () => {
  const next = random(16);
  for (const dtype of ["f32", "f16"] as const) {
    for (const [B, from, to, rows, C] of [[1, 1, 1, 1, 4], [3, 5, 9, 4, 12], [2, 70, 66, 65, 8]]) {
      const x = values(next, B! * from! * C!, dtype), before = values(next, B! * to! * C!, dtype);
      const y = upload(dtype, [B!, to!, C!], before);
      copyRows(device, { x: upload(dtype, [B!, from!, C!], x), y, rows: rows! });
      const expected = reference.copyRows(x, before, { from: from!, to: to!, rows: rows!, C: C! });
      await assertTensor(y, expected, 0, `${dtype} [${B},${from},${C}]`);
    }
  }
});

Deno.test("copyRows() converts, and stores what f16 cannot hold as its largest number", async () => {
  const x = upload("f32", [2, 2, 4], [
    1,
    1e5,
    -1e6,
    NaN,
    5,
    6,
    7,
    8,
    Infinity,
    2.5,
    0,
    1,
    9,
    9,
    9,
    9,
  ]);
  const y = upload("f16", [2, 2, 4], new Float64Array(16));
  copyRows(device, { x, y, rows: 1 });
  assertEquals(
    await device.read(y),
    Float16Array.of(1, 65504, -65504, NaN, 0, 0, 0, 0, Infinity, 2.5, 0, 1, 0, 0, 0, 0),
  );
  const back = poisoned("f32", [2, 2, 4]);
  copyRows(device, { x: y, y: back, rows: 2 });
  assertEquals(
    (await device.read(back) as Float32Array).slice(8, 12),
    Float32Array.of(Infinity, 2.5, 0, 1),
  );
});

Deno.test("copyRows() refuses shapes that disagree", () => {
  const y = poisoned("f32", [1, 2, 4]);
  assertThrows(
    () => copyRows(device, { x: y, y: poisoned("f32", [1, 2, 8]), rows: 1 }),
    KernelError,
  );
});
