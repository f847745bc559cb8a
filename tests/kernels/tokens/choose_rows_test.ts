import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { chooseRows } from "../../../kernels/tokens/choose_rows.ts";
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

Deno.test("chooseRows() without a table is the gradient by x", () => {
  const next = random(1);
  const C = 3, ids = [0, 9, 1, 9], table = values(next, 2 * C);
  const x = values(next, ids.length * C), dy = values(next, ids.length * C);
  const forward = (x: Float64Array, table: Float64Array) => reference.chooseRows(x, ids, table, C);
  const [dx, dtable] = centralDifferences(
    forward as (...inputs: Float64Array[]) => Float64Array,
    [x, table],
    dy,
  );
  assertNear(reference.chooseRows(dy, ids, new Float64Array(2 * C), C), dx!, 1e-9);
  assertNear(reference.embeddingBackward(ids, dy, C, 2), dtable!, 1e-9);
});

for (const [from, to] of [["f32", "f32"], ["f16", "f16"], ["f16", "f32"]] as const) {
  Deno.test(`chooseRows() takes rows of ${from} or of a table into ${to}`, async () => {
    const next = random(2);
    for (const [T, V, C] of [[1, 1, 1], [3, 5, 7], [70, 33, 12]] as const) {
      const ids = Array.from(
        { length: T },
        () => next() < 0.5 ? 0xffffffff : Math.floor(next() * V),
      );
      const x = values(next, T * C, from), before = values(next, T * C, to);
      for (const table of [values(next, V * C), null]) {
        const chosen = reference.chooseRows(x, ids, table ?? new Float64Array(V * C), C);
        for (const add of [false, true]) {
          const y = add ? upload(to, [T, C], before) : poisoned(to, [T, C]);
          chooseRows(device, {
            x: upload(from, [T, C], x),
            ids: upload("u32", [T], ids),
            rows: V,
            table: table && upload("f32", [V, C], table),
            y: { tensor: y, add },
          });
          const expected = chosen.map((v, i) => v + (add ? before[i]! : 0));
          await assertTensor(y, expected, TOLERANCE[to], `[${T}] of [${V},${C}], add ${add}`);
        }
      }
    }
  });
}

Deno.test("chooseRows() refuses shapes that disagree", () => {
  const x = poisoned("f32", [3, 8]), ids = upload("u32", [3], [0, 1, 2]);
  const y = { tensor: poisoned("f32", [3, 8]), add: false };
  const refused = [
    { ids: upload("u32", [2], [0, 1]) },
    { ids: upload("f32", [3], [0, 1, 2]) },
    { table: poisoned("f32", [2, 8]) },
    { y: { tensor: ids, add: false } },
  ];
  for (const given of refused) {
    assertThrows(
      () => chooseRows(device, { x, ids, rows: 3, table: null, y, ...given }),
      KernelError,
      "Cannot choose rows of [3,8]",
    );
  }
});
