import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { gatedGeluBackward } from "../../../kernels/elementwise/gated_gelu_backward.ts";
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

Deno.test("gatedGeluBackward(): the analytic gradient is right", () => {
  const next = random(1);
  for (const [T, F] of [[1, 1], [3, 7]] as const) {
    const h = values(next, T * 2 * F).map((v) => 3 * v), dy = values(next, T * F);
    const [dh] = centralDifferences((h) => reference.gatedGelu(h, F), [h], dy);
    assertNear(reference.gatedGeluBackward(h, dy, F), dh!, 1e-9);
  }
});

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`gatedGeluBackward() sends ${dtype} back`, async () => {
    const next = random(2);
    for (const [T, F] of [[1, 1], [1, 4], [3, 7], [5, 192], [70, 33]] as const) {
      const h = values(next, T * 2 * F).map((v) => Math.f16round(v * 5));
      const dy = values(next, T * F, dtype), before = values(next, T * 2 * F, dtype);
      const gradient = reference.gatedGeluBackward(h, dy, F);
      const given = { h: upload(dtype, [T, 2 * F], h), dy: upload(dtype, [T, F], dy) };
      const dh = poisoned(dtype, [T, 2 * F]);
      gatedGeluBackward(device, { ...given, dh: { tensor: dh, add: false } });
      await assertTensor(dh, gradient, TOLERANCE[dtype], `[${T},${F}]`);
      const sum = upload(dtype, [T, 2 * F], before);
      gatedGeluBackward(device, { ...given, dh: { tensor: sum, add: true } });
      await assertTensor(sum, gradient.map((v, i) => v + before[i]!), TOLERANCE[dtype]);
    }
  });
}

Deno.test("gatedGeluBackward() refuses shapes that disagree, and does nothing for nobody", () => {
  const [h, dy] = [poisoned("f32", [3, 8]), poisoned("f32", [3, 4])];
  gatedGeluBackward(device, { h, dy, dh: null });
  assertThrows(
    () => gatedGeluBackward(device, { h, dy, dh: { tensor: dy, add: false } }),
    KernelError,
    "Cannot send [3,4] back through the gate of [3,8] to [3,4]",
  );
});
