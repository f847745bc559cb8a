import { assertEquals } from "@std/assert";
import { LossScale } from "../../../../model/training/optimiser/loss_scale.ts";

Deno.test("LossScale halves once for all steps that overflowed with the same scale", () => {
  const scale = new LossScale();
  assertEquals(scale.value, 2048);
  for (let i = 0; i < 5; i++) scale.report(2048, true);
  assertEquals(scale.value, 1024);
  scale.report(1024, true);
  assertEquals(scale.value, 512);
});

Deno.test("LossScale doubles after a thousand sound steps, up to a bound", () => {
  const scale = new LossScale(2 ** 14);
  for (let i = 0; i < 999; i++) scale.report(scale.value, false);
  scale.report(2 ** 15, true); // of an older, larger scale: counting begins anew
  assertEquals(scale.value, 2 ** 14);
  for (let i = 0; i < 999; i++) scale.report(scale.value, false);
  assertEquals(scale.value, 2 ** 14);
  scale.report(scale.value, false);
  assertEquals(scale.value, 2 ** 15);
  for (let i = 0; i < 1000; i++) scale.report(scale.value, false);
  assertEquals(scale.value, 2 ** 15);
});

Deno.test("LossScale is exhausted when it would shrink gradients", () => {
  const scale = new LossScale(1);
  assertEquals(scale.exhausted, false);
  scale.report(1, true);
  assertEquals(scale.exhausted, true);
});
