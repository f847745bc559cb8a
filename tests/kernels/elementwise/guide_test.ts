import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { guide } from "../../../kernels/elementwise/guide.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("guide() mixes both halves in place", async () => {
  const next = random(14);
  for (const [B, L, C] of [[1, 1, 4], [2, 7, 12], [1, 65, 8]] as const) {
    const x = values(next, 2 * B * L * C);
    const y = upload("f32", [2 * B, L, C], x);
    guide(device, { y, cfg: 3.5 });
    await assertTensor(y, reference.guide(x, 3.5), TOLERANCE.f32);
  }
});

Deno.test("guide() refuses shapes that disagree", () => {
  assertThrows(() => guide(device, { y: poisoned("f32", [2, 3]), cfg: 2 }), KernelError);
});
