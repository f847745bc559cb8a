import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { embeddingBackward } from "../../../kernels/tokens/embedding_backward.ts";
import { Lookups } from "../../../kernels/tokens/lookups.ts";
import { centralDifferences } from "../central_differences.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("embeddingBackward(): the analytic gradient is right", () => {
  const next = random(1);
  const [V, C] = [4, 3], ids = [2, 0, 2, 3, 2];
  const table = values(next, V * C), dy = values(next, ids.length * C);
  const forward = (table: Float64Array) =>
    reference.embedding(ids, table, new Float64Array(ids.length * C), { C });
  const [dtable] = centralDifferences(
    forward as (...inputs: Float64Array[]) => Float64Array,
    [table],
    dy,
  );
  assertNear(reference.embeddingBackward(ids, dy, C, V), dtable!, 1e-9);
});

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`embeddingBackward() sums ${dtype} rows by what they looked up`, async () => {
    const next = random(2);
    const shapes = [[1, 1, 1], [3, 5, 7], [70, 33, 12], [500, 3, 8], [300, 1, 5], [9, 300, 130]];
    for (const [T, V, C] of shapes as [number, number, number][]) {
      // some rows are outside the table
      const ids = Array.from({ length: T }, () => next() < 0.1 ? V + 7 : Math.floor(next() * V));
      const dy = values(next, T * C, dtype), before = values(next, V * C);
      using lookups = new Lookups(device, ids, V);
      const expected = reference.embeddingBackward(ids, dy, C, V);
      const given = { dy: upload(dtype, [T, C], dy), lookups };
      for (const add of [false, true]) {
        const dtable = add ? upload("f32", [V, C], before) : poisoned("f32", [V, C]);
        embeddingBackward(device, { ...given, dtable: { tensor: dtable, add } });
        const sum = expected.map((v, i) => v + (add ? before[i]! : 0));
        await assertTensor(dtable, sum, TOLERANCE.f32, `[${T}] of [${V},${C}], add ${add}`);
      }
    }
  });
}

Deno.test("embeddingBackward() touches no row that nobody looked up", async () => {
  using lookups = new Lookups(device, [3, 1, 0xffffffff], 4);
  const dtable = poisoned("f32", [4, 1]);
  device.upload(dtable, Float32Array.of(1, 2, NaN, 4));
  const dy = upload("f32", [3, 1], [10, 20, 30]);
  embeddingBackward(device, { dy, lookups, dtable: { tensor: dtable, add: true } });
  assertEquals([...await device.read(dtable)], [1, 22, NaN, 14]);
  using nothing = new Lookups(device, [9, 9, 9], 4);
  embeddingBackward(device, { dy, lookups: nothing, dtable: { tensor: dtable, add: true } });
  assertEquals([...await device.read(dtable)], [1, 22, NaN, 14]);
  embeddingBackward(device, { dy, lookups: nothing, dtable: { tensor: dtable, add: false } });
  assertEquals([...await device.read(dtable)], [0, 0, 0, 0]);
});

Deno.test("embeddingBackward() refuses shapes that disagree, and does nothing for nobody", () => {
  using lookups = new Lookups(device, [0, 1, 2], 3);
  const dtable = { tensor: poisoned("f32", [3, 8]), add: false };
  embeddingBackward(device, { dy: poisoned("f32", [3, 8]), lookups, dtable: null });
  assertThrows(
    () => embeddingBackward(device, { dy: poisoned("f32", [2, 8]), lookups, dtable }),
    KernelError,
    "Cannot send [2,8] back to 3 rows of [3,8]",
  );
});
