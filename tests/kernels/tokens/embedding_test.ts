import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { embedding } from "../../../kernels/tokens/embedding.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

for (
  const [from, to] of [["f32", "f32"], ["f16", "f16"], ["f16", "f32"], ["f32", "f16"]] as const
) {
  Deno.test(`embedding() copies rows of ${from} into ${to}`, async () => {
    const next = random(1);
    for (const [T, V, C] of [[1, 1, 1], [3, 5, 7], [70, 33, 12], [9, 300, 130]] as const) {
      const table = values(next, V * C, "f16");
      const ids = Array.from({ length: T }, () => Math.floor(next() * V));
      const y = poisoned(to, [T, C]);
      embedding(device, { ids: upload("u32", [T], ids), table: upload(from, [V, C], table), y });
      const expected = [...reference.embedding(ids, table, new Float64Array(T * C), { C })];
      assertEquals([...(await device.read(y)) as ArrayLike<number> & Iterable<number>], expected);
    }
  });
}

Deno.test("embedding() looks up a table in parts, and does not touch rows for other ids", async () => {
  const ids = upload("u32", [5], [1, 4_000_000_000, 4, 0, 3]);
  const y = upload("f32", [5, 1], [-1, -2, -3, -4, -5]);
  embedding(device, { ids, table: upload("f32", [3, 1], [10, 20, 30]), y });
  assertEquals([...(await device.read(y))], [20, -2, -3, 10, -5]);
  embedding(device, { ids, table: upload("f32", [2, 1], [40, 50]), first: 3, y });
  assertEquals([...(await device.read(y))], [20, -2, 50, 10, 40]);
});

Deno.test("embedding() refuses shapes that disagree", () => {
  const table = poisoned("f32", [3, 8]), y = poisoned("f32", [2, 8]);
  assertThrows(
    () => embedding(device, { ids: upload("u32", [3], [0, 1, 2]), table, y }),
    KernelError,
    "Cannot look up u32 [3] in [3,8] into [2,8]",
  );
  assertThrows(
    () => embedding(device, { ids: upload("f32", [2], [0, 1]), table, y }),
    KernelError,
    "Cannot look up f32 [2]",
  );
});
