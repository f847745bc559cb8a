import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { edgeWeights } from "../../../kernels/losses/edge_weights.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./image_references.ts";

Deno.test("edgeWeights() counts pixels near edges", async () => {
  const next = random(111);
  for (
    const shape of [[1, 1, 1, 1], [2, 1, 7, 3], [1, 9, 2, 3], [2, 12, 13, 3], [1, 5, 5, 2]] as const
  ) {
    const [B, H, W, C] = shape;
    const data = values(next, B * H * W * C).map((v) => v / 4);
    const y = poisoned("f32", [B, H, W]);
    edgeWeights(device, { x: upload("f32", shape, data), y, amount: 2.5, gain: 1.5 });
    const expected = reference.edgeWeights({ shape: [...shape], data }, 2.5, 1.5);
    await assertTensor(y, expected, TOLERANCE.f32, `[${shape}]`);
  }
});

Deno.test("edgeWeights() refuses shapes that disagree", () => {
  const args = { amount: 1, gain: 1 };
  for (
    const [x, y] of [
      [poisoned("f32", [1, 4, 4, 3]), poisoned("f32", [1, 4, 3])],
      [poisoned("f32", [4, 4, 3]), poisoned("f32", [4, 4, 3])],
      [poisoned("f16", [1, 4, 4, 3]), poisoned("f32", [1, 4, 4])],
    ] as const
  ) {
    assertThrows(() => edgeWeights(device, { x, y, ...args }), KernelError, "Cannot weight edges");
  }
});
