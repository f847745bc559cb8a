import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { columnSums } from "../../../kernels/linear/column_sums.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("columnSums() sums products over groups of rows, in one step or two", async () => {
  const next = random(41);
  // the last two take several rows for one
  const shapes = [
    [1, 1, 1],
    [3, 1, 7],
    [2, 32, 8],
    [1, 33, 5],
    [2, 100, 12],
    [1, 1030, 4],
    [5, 7, 64],
    [2, 4096, 3],
    [1, 9216, 1],
  ];
  for (const from of ["f32", "f16"] as const) {
    for (const [groups, rows, N] of shapes as [number, number, number][]) {
      const M = groups * rows;
      const x = values(next, M * N, from).map(Math.abs);
      const z = values(next, M * N, from).map(Math.abs);
      const before = values(next, groups * N).map(Math.abs);
      const args = { x: upload(from, [M, N], x), rows };
      const y = poisoned("f32", [groups, N]);
      columnSums(device, { ...args, y: { tensor: y, add: false } });
      await assertTensor(y, reference.columnSums(x, null, N, rows), TOLERANCE.f32);
      const added = upload("f32", [groups, N], before);
      columnSums(device, { ...args, z: upload(from, [M, N], z), y: { tensor: added, add: true } });
      const expected = reference.columnSums(x, z, N, rows).map((v, i) => v + before[i]!);
      await assertTensor(added, expected, TOLERANCE.f32);
    }
  }
});

Deno.test("columnSums() writes sums of groups apart from each other, and nothing between them", async () => {
  const next = random(42);
  for (const [N, offset, stride] of [[4, 8, 16], [3, 2, 7]] as const) {
    const x = values(next, 80 * N);
    const y = poisoned("f32", [2 * stride + offset + N]);
    columnSums(device, {
      x: upload("f32", [2, 40, N], x),
      rows: 40,
      y: { tensor: y, add: false },
      offset,
      stride,
    });
    const sums = reference.columnSums(x, null, N, 40);
    const read = await device.read(y) as Float32Array;
    read.forEach((v, i) => {
      const [g, n] = [Math.floor((i - offset) / stride), (i - offset) % stride];
      const inside = i >= offset && n < N && g < 2;
      assertEquals(Math.abs(v - (inside ? sums[g * N + n]! : NaN)) < 1e-5, inside, `${i}: ${v}`);
    });
  }
});

Deno.test("columnSums() refuses shapes that disagree", () => {
  const x = poisoned("f32", [6, 4]);
  const sum = (args: Partial<Parameters<typeof columnSums>[1]>) => () =>
    columnSums(device, { x, y: { tensor: poisoned("f32", [4]), add: false }, ...args });
  assertThrows(sum({ rows: 4 }), KernelError, "[6,4]");
  assertThrows(sum({ rows: 3 }), KernelError, "3 rows each");
  assertThrows(sum({ z: poisoned("f32", [6, 3]) }), KernelError, "[6,3]");
  assertThrows(sum({ offset: 1 }), KernelError);
  assertThrows(sum({ stride: 3, rows: 6 }), KernelError);
  assertThrows(sum({ y: { tensor: poisoned("f16", [4]), add: false } }), KernelError, "f16");
});
