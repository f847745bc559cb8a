import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { addGated } from "../../../kernels/norm/add_gated.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`addGated() adds ${dtype} through the gates of each image, of all, or none`, async () => {
    const next = random(1);
    for (const [images, rows, C] of [[1, 1, 1], [3, 5, 8], [2, 7, 5], [2, 40, 64]] as const) {
      const M = images * rows;
      const x = values(next, M * C), v = values(next, M * C, dtype);
      const vectors = values(next, images * 6 * C);
      const tensor = upload("f32", [images, 6 * C], vectors);
      const gates = [
        { gate: { tensor, offset: 3 * C, stride: 6 * C, rows }, at: 3 * C, step: 6 * C },
        { gate: { tensor, offset: 0, stride: 0, rows: M }, at: 0, step: 0 },
        { at: 0, step: 0 },
      ];
      for (const { gate, at, step } of gates) {
        const y = poisoned("f32", [M, C]);
        const given = { x: upload("f32", [M, C], x), v: upload(dtype, [M, C], v), y };
        addGated(device, { ...given, ...gate && { gate } });
        const factor = (image: number, c: number) => gate ? vectors[at + image * step + c]! : 1;
        const expected = reference.addGated(x, v, C, gate?.rows ?? M, factor);
        await assertTensor(y, expected, TOLERANCE.f32, `${[images, rows, C]}`);
      }
    }
  });
}

Deno.test("addGated() refuses shapes that disagree", () => {
  const x = poisoned("f32", [4, 8]), gate = { tensor: poisoned("f32", [8]), offset: 0, stride: 8 };
  assertThrows(
    () => addGated(device, { x, v: poisoned("f32", [4, 7]), y: x }),
    KernelError,
    "Cannot add [4,7] to [4,8] through the gate [none] into [4,8]",
  );
  assertThrows(
    () => addGated(device, { x, v: x, gate: { ...gate, rows: 2 }, y: poisoned("f32", [4, 8]) }),
    KernelError,
    "through the gate [8]",
  );
  const two = { ...gate, tensor: poisoned("f32", [4, 8]), rows: 1.5 };
  assertThrows(() => addGated(device, { x, v: x, gate: two, y: x }), KernelError, "the gate [4,8]");
});
