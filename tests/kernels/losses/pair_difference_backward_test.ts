import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { pairDifferenceBackward } from "../../../kernels/losses/pair_difference_backward.ts";
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

const SHAPES = [[1, 1], [5, 1], [3, 7], [16, 8], [2, 64]] as const;

Deno.test("pairDifferenceBackward() is its gradient", async () => {
  const next = random(72);
  for (const [d, C] of SHAPES) {
    const x = values(next, 2 * d * C), dy = values(next, d * C), before = values(next, 2 * d * C);
    const expected = reference.pairDifferenceBackward(dy, C);
    const [differences] = centralDifferences((x) => reference.pairDifference(x!, C), [x], dy);
    assertNear(expected, differences!, 1e-8);
    const dx = poisoned("f32", [2 * d, C]);
    const sent = upload("f32", [d, C], dy);
    pairDifferenceBackward(device, { dy: sent, dx: { tensor: dx, add: false } });
    await assertTensor(dx, expected, 0, `[${d}, ${C}]`);
    const added = upload("f32", [2 * d, C], before);
    pairDifferenceBackward(device, { dy: sent, dx: { tensor: added, add: true } });
    await assertTensor(added, expected.map((v, i) => v + before[i]!), TOLERANCE.f32, "added");
  }
});

Deno.test("pairDifferenceBackward() refuses shapes that disagree", () => {
  const f32 = (...shape: number[]) => poisoned("f32", shape);
  for (
    const [x, y] of [[f32(6, 4), f32(2, 4)], [f32(5, 4), f32(2, 4)], [f32(6, 4), f32(3, 2)], [
      poisoned("f16", [4, 4]),
      f32(2, 4),
    ]] as const
  ) {
    const dx = { tensor: x, add: false };
    assertThrows(() => pairDifferenceBackward(device, { dy: y, dx }), KernelError, "the gradient");
  }
});
