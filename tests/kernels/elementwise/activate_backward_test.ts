import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { activateBackward } from "../../../kernels/elementwise/activate_backward.ts";
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

for (const kind of ["gelu", "silu"] as const) {
  Deno.test(`activateBackward(): the slope of ${kind} is right`, () => {
    const next = random(1);
    const x = values(next, 101).map((v) => 5 * v), dy = values(next, 101);
    const forward = (x: Float64Array) => x.map(reference.ACTIVATIONS[kind]);
    const [dx] = centralDifferences(forward, [x], dy);
    assertNear(x.map((v, i) => dy[i]! * reference.SLOPES[kind](v)), dx!, 1e-9);
  });

  for (const dtype of ["f32", "f16"] as const) {
    Deno.test(`activateBackward() sends ${dtype} back through ${kind}`, async () => {
      const next = random(2);
      for (const count of [1, 5, 64, 1003]) {
        const x = values(next, count).map((v) => Math.f16round(8 * v));
        const [dy, before] = [values(next, count, dtype), values(next, count, dtype)];
        const gradient = x.map((v, i) => dy[i]! * reference.SLOPES[kind](v));
        const given = { x: upload(dtype, [count], x), dy: upload(dtype, [count], dy), kind };
        const dx = poisoned(dtype, [count]);
        activateBackward(device, { ...given, dx: { tensor: dx, add: false } });
        await assertTensor(dx, gradient, TOLERANCE[dtype]);
        const sum = upload(dtype, [count], before);
        activateBackward(device, { ...given, dx: { tensor: sum, add: true } });
        await assertTensor(sum, gradient.map((v, i) => v + before[i]!), TOLERANCE[dtype]);
      }
    });
  }

  Deno.test(`activateBackward() is 1 or 0 far from zero, for ${kind}`, async () => {
    const x = upload("f32", [4], [1e30, -1e30, 1000, -1000]);
    const dx = poisoned("f32", [4]);
    const dy = upload("f32", [4], [1, 1, 1, 1]);
    activateBackward(device, { x, dy, kind, dx: { tensor: dx, add: false } });
    assertEquals([...await device.read(dx)].map(Math.abs), [1, 0, 1, 0]);
  });
}

Deno.test("activateBackward() refuses shapes that disagree, and does nothing for nobody", () => {
  const x = poisoned("f32", [4]), dx = { tensor: poisoned("f32", [4]), add: false };
  activateBackward(device, { x, dy: x, kind: "gelu", dx: null });
  assertThrows(
    () => activateBackward(device, { x, dy: poisoned("f32", [5]), kind: "gelu", dx }),
    KernelError,
    "Cannot send [5] back through gelu of [4] to [4]",
  );
});
