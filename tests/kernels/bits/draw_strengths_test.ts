import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { drawStrengths } from "../../../kernels/bits/draw_strengths.ts";
import { assertTensor, device, poisoned } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("drawStrengths() draws whole hundredths or any number, per scale or per image", async () => {
  const random = { seed: 0xfedcba98, step: 77, image: 5 };
  for (const [B, S] of [[1, 1], [3, 7], [40, 13]] as const) {
    for (const hundredths of [true, false]) {
      for (const shared of [true, false]) {
        for (const odds of [1, 0.4]) {
          const y = poisoned("f32", [B, S]);
          drawStrengths(device, { y, most: 0.29, hundredths, shared, odds, random });
          const how = { levels: hundredths ? 30 : 0, most: 0.29, shared, odds };
          await assertTensor(y, reference.strengths([B, S], how, random), 1e-6);
        }
      }
    }
  }
});

Deno.test("drawStrengths() draws all hundredths up to the largest, about as often", async () => {
  const y = poisoned("f32", [1000, 31]);
  const args = { y, most: 0.3, hundredths: true, shared: false };
  drawStrengths(device, { ...args, random: { seed: 3, step: 0 } });
  const counts = new Map<number, number>();
  for (const v of await device.read(y)) {
    const hundredth = Math.round(100 * v);
    counts.set(hundredth, (counts.get(hundredth) ?? 0) + 1);
  }
  assertEquals([...counts.keys()].sort((a, b) => a - b), Array.from({ length: 31 }, (_, i) => i));
  assert(counts.values().every((n) => n > 850 && n < 1150), `${[...counts]}`);
});

Deno.test("drawStrengths() refuses other shapes and types", () => {
  const args = { most: 0.3, hundredths: true, shared: false, random: { seed: 3, step: 0 } };
  for (const y of [poisoned("f32", [4]), poisoned("u32", [2, 2])]) {
    assertThrows(() => drawStrengths(device, { ...args, y }), KernelError, "Cannot draw");
  }
});
