import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { guide } from "../../../kernels/elementwise/guide.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";

Deno.test("guide() mixes both halves in place", async () => {
  const next = random(14);
  for (const [B, L, C] of [[1, 1, 4], [2, 7, 12], [1, 65, 8]] as const) {
    const x = values(next, 2 * B * L * C), half = B * L * C;
    const y = upload("f32", [2 * B, L, C], x);
    guide(device, { y, cfg: 3.5 });
    const expected = x.map((_, i) => 3.5 * x[i % half]! - 2.5 * x[half + i % half]!);
    await assertTensor(y, expected, TOLERANCE.f32);
  }
});

Deno.test("guide() refuses shapes that disagree", () => {
  assertThrows(() => guide(device, { y: poisoned("f32", [2, 3]), cfg: 2 }), KernelError);
});
