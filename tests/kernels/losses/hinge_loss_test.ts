import { assert, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { hingeLoss, type HingeLossArgs } from "../../../kernels/losses/hinge_loss.ts";
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
import * as reference from "./image_references.ts";

Deno.test("hingeLoss() makes the loss of each role and its gradient", async () => {
  const next = random(121);
  for (const dtype of ["f32", "f16"] as const) {
    for (const role of ["real", "fake", "generator"] as const) {
      for (const count of [1, 7, 300]) {
        // answers on both sides of the hinge, and one that no loss is small for
        const x = values(next, count, dtype).map((v, i) =>
          i ? 2 * v : role === "real" ? -1.5 : 1.5
        );
        const expected = reference.hingeLossGradient(x, role);
        const forward = (x: Float64Array) => reference.hingeLoss(x, role).subarray(0, 1);
        const [differences] = centralDifferences(forward, [x], Float64Array.of(1));
        assertNear(expected, differences!, 1e-7, "the reference");
        const gradient = poisoned(dtype, [count]), stats = poisoned("f32", [2]);
        const args = { x: upload(dtype, [count], x), role };
        hingeLoss(device, {
          ...args,
          gradient: { tensor: gradient, add: false },
          stats: { tensor: stats, add: false },
        });
        const what = `${dtype} ${role} [${count}]`;
        await assertTensor(gradient, expected, TOLERANCE[dtype], what);
        const log = reference.hingeLoss(x, role);
        await assertTensor(stats, log, TOLERANCE.f32, what);
        const before = values(next, count, dtype);
        const added = upload(dtype, [count], before);
        hingeLoss(device, {
          ...args,
          gradient: { tensor: added, add: true },
          scale: 3,
          stats: { tensor: stats, add: true },
        });
        const more = expected.map((v, i) => 3 * v + before[i]!);
        await assertTensor(added, more, TOLERANCE[dtype], `${what}, added`);
        await assertTensor(stats, log.map((v) => 2 * v), TOLERANCE.f32, `${what}, added`);
        hingeLoss(device, { ...args, gradient: null, stats: null });
      }
    }
  }
});

Deno.test("hingeLoss() keeps NaN, in the loss and in its gradient", async () => {
  for (const role of ["real", "fake", "generator"] as const) {
    const gradient = poisoned("f32", [2]), stats = poisoned("f32", [2]);
    hingeLoss(device, {
      x: upload("f32", [2], [1, NaN]),
      role,
      gradient: { tensor: gradient, add: false },
      stats: { tensor: stats, add: false },
    });
    const [slopes, sums] = await device.readAll([gradient, stats]);
    assert(Number.isNaN(sums![0]) && slopes![1] !== 0, `${role}: ${sums}, ${slopes}`);
  }
});

Deno.test("hingeLoss() refuses shapes that disagree", () => {
  const args: HingeLossArgs = {
    x: poisoned("f32", [2, 3]),
    role: "real",
    gradient: null,
    stats: null,
  };
  const wrong: Partial<HingeLossArgs>[] = [
    { gradient: { tensor: poisoned("f32", [5]), add: false } },
    { gradient: { tensor: poisoned("f16", [6]), add: false } },
    { stats: { tensor: poisoned("f32", [1]), add: false } },
  ];
  for (const change of wrong) {
    assertThrows(() => hingeLoss(device, { ...args, ...change }), KernelError, "Cannot take hinge");
  }
});
