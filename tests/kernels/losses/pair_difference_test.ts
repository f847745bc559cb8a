import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { pairDifference } from "../../../kernels/losses/pair_difference.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

const SHAPES = [[1, 1], [5, 1], [3, 7], [16, 8], [2, 64]] as const;

Deno.test("pairDifference() subtracts even rows from odd ones", async () => {
  const next = random(71);
  for (const [d, C] of SHAPES) {
    const x = values(next, 2 * d * C);
    const y = poisoned("f32", [d, C]);
    pairDifference(device, { x: upload("f32", [2 * d, C], x), y });
    await assertTensor(y, reference.pairDifference(x, C), TOLERANCE.f32, `[${d}, ${C}]`);
  }
  const y = poisoned("f32", [2]);
  pairDifference(device, { x: upload("f32", [4], [1, 4, 2, 1]), y });
  await assertTensor(y, [3, -1], 0, "a bias");
});

Deno.test("pairDifference() refuses shapes that disagree", () => {
  const f32 = (...shape: number[]) => poisoned("f32", shape);
  for (
    const [x, y] of [[f32(6, 4), f32(2, 4)], [f32(5, 4), f32(2, 4)], [f32(6, 4), f32(3, 2)], [
      poisoned("f16", [4, 4]),
      f32(2, 4),
    ]] as const
  ) {
    assertThrows(() => pairDifference(device, { x, y }), KernelError, "differences of");
  }
});
