import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { transpose } from "../../../kernels/linear/transpose.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("transpose() makes rows of columns, or of some of them, and pads them with zeros", async () => {
  const next = random(43);
  const cases = [
    // M, columns, from, N, P
    [1, 1, 0, 1, 1],
    [1, 9, 3, 5, 2],
    [33, 31, 0, 31, 33],
    [64, 32, 0, 32, 64],
    [40, 36, 4, 32, 40],
    [5, 8, 4, 4, 8],
    [70, 68, 0, 3, 72],
    [3, 66, 1, 65, 4],
  ] as const;
  for (const from of ["f32", "f16"] as const) {
    for (const to of ["f32", "f16"] as const) {
      for (const [M, columns, first, N, P] of cases) {
        const x = values(next, M * columns, "f16");
        const y = poisoned(to, [N, P]);
        transpose(device, { x: upload(from, [M, columns], x), y, first });
        const expected = reference.transpose(x, columns, first, N, P);
        assertEquals(Float64Array.from(await device.read(y)), expected);
      }
    }
  }
});

Deno.test("transpose() refuses shapes that disagree", () => {
  const x = poisoned("f32", [6, 4]);
  for (const shape of [[5, 6], [4, 5], [24]]) {
    assertThrows(() => transpose(device, { x, y: poisoned("f32", shape) }), KernelError, "[6,4]");
  }
  const y = poisoned("f32", [4, 6]);
  assertThrows(() => transpose(device, { x, y, first: 1 }), KernelError, "from column 1");
});
