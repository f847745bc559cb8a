import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { addGatedBackward } from "../../../kernels/norm/add_gated_backward.ts";
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

Deno.test("addGatedBackward(): the analytic gradients are right", () => {
  const next = random(1);
  const [images, rows, C] = [2, 3, 5], count = images * rows * C;
  const [x, v, gate, dy] = [count, count, images * C, count].map((n) => values(next, n)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const at = (gate: Float64Array) => (image: number, c: number) => gate[image * C + c]!;
  const forward = (x: Float64Array, v: Float64Array, gate: Float64Array) =>
    reference.addGated(x, v, C, rows, at(gate));
  const expected = centralDifferences(
    forward as (...inputs: Float64Array[]) => Float64Array,
    [x, v, gate],
    dy,
  );
  const { dv, dgate } = reference.addGatedBackward(dy, v, C, rows, at(gate));
  [dy, dv, dgate].forEach((gradient, i) => assertNear(gradient, expected[i]!, 1e-9));
});

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`addGatedBackward() sends f32 back to ${dtype} and to gates`, async () => {
    const next = random(2);
    for (const [images, rows, C] of [[1, 1, 1], [3, 5, 8], [2, 7, 5], [2, 40, 64]] as const) {
      const M = images * rows;
      const dy = values(next, M * C), v = values(next, M * C, dtype);
      const before = values(next, M * C, dtype), vectors = values(next, images * 6 * C);
      const tensor = upload("f32", [images, 6 * C], vectors);
      const gates = [
        { gate: { tensor, offset: 3 * C, stride: 6 * C, rows }, at: 3 * C, step: 6 * C },
        { gate: { tensor, offset: C, stride: 0, rows: M }, at: C, step: 0 },
        { at: 0, step: 0 },
      ];
      for (const { gate, at, step } of gates) {
        for (const add of [false, true]) {
          const dv = add ? upload(dtype, [M, C], before) : poisoned(dtype, [M, C]);
          const dgate = upload("f32", [images, 6 * C], vectors);
          addGatedBackward(device, {
            dy: upload("f32", [M, C], dy),
            v: upload(dtype, [M, C], v),
            dv: { tensor: dv, add },
            ...gate && { gate, dgate: { tensor: dgate, add } },
          });
          const factor = (image: number, c: number) => gate ? vectors[at + image * step + c]! : 1;
          const expected = reference.addGatedBackward(dy, v, C, gate?.rows ?? M, factor);
          const sums = vectors.slice();
          if (gate) {
            expected.dgate.forEach((d, i) => {
              const place = at + Math.floor(i / C) * step + i % C;
              sums[place] = d + (add ? vectors[place]! : 0);
            });
          }
          const what = `${[images, rows, C]} add ${add}`;
          const gradient = expected.dv.map((d, i) => d + (add ? before[i]! : 0));
          await assertTensor(dv, gradient, TOLERANCE[dtype], what);
          await assertTensor(dgate, sums, TOLERANCE.f32, what);
        }
      }
    }
  });
}

Deno.test("addGatedBackward() refuses shapes that disagree, and does nothing for nobody", () => {
  const dy = poisoned("f32", [4, 8]), vector = poisoned("f32", [8]);
  const gate = { tensor: vector, offset: 0, stride: 0, rows: 4 };
  addGatedBackward(device, { dy, v: dy, gate, dv: null, dgate: null });
  const refused = [
    { v: poisoned("f32", [4, 7]), dv: null },
    { v: dy, dv: { tensor: vector, add: false } },
    { v: dy, dv: null, dgate: { tensor: vector, add: false } }, // there is no gate
    { v: dy, dv: null, gate: { ...gate, rows: 3 } },
  ];
  for (const given of refused) {
    assertThrows(
      () => addGatedBackward(device, { dy, ...given }),
      KernelError,
      "Cannot send [4,8] back to [4,",
    );
  }
});
