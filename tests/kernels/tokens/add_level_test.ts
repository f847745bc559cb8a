import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { addLevel } from "../../../kernels/tokens/add_level.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("addLevel() adds one table row per token", async () => {
  const next = random(12);
  for (const [B, L, C] of [[1, 1, 4], [3, 6, 20], [2, 33, 64]] as const) {
    const table = values(next, 15 * C), before = values(next, B * L * C);
    const level = Uint32Array.from({ length: L }, () => Math.floor(next() * 15));
    const y = upload("f32", [B, L, C], before);
    addLevel(device, { table: upload("f32", [15, C], table), level: upload("u32", [L], level), y });
    await assertTensor(y, reference.addLevel(before, table, level, C), TOLERANCE.f32);
  }
});

Deno.test("addLevel() refuses shapes that disagree", () => {
  const y = poisoned("f32", [1, 2, 4]);
  assertThrows(() => addLevel(device, { table: y, level: y, y }), KernelError, "Cannot add levels");
});
