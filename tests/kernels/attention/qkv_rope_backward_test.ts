import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import {
  qkvRopeBackward,
  type QkvRopeBackwardArgs,
} from "../../../kernels/attention/qkv_rope_backward.ts";
import { centralDifferences } from "../central_differences.ts";
import { asGpu, assertNear, assertTensor, device, poisoned, TOLERANCE } from "../harness.ts";
import { backwardReference, buildBackward, type Case, reference } from "./qkv_rope_cases.ts";

function caseOf(
  batch: number,
  rows: number,
  heads: number,
  headDim: number,
  more: Partial<Case> = {},
): Case {
  const places = { cacheRows: rows, cacheStart: 0, ropeStart: 2 };
  return { batch, rows, heads, headDim, cosine: true, dtype: "f32", ...places, ...more };
}

Deno.test("The reference of qkvRopeBackward() is the derivative of that of qkvRope()", () => {
  for (const cosine of [true, false]) {
    const c = caseOf(2, 3, 3, 8, { cosine });
    const { built, dq, dk, dv } = buildBackward(1, c, false);
    assert(built.scaleMul[0]! > Math.log(100), "one is clamped");
    const [qkv, scaleMul] = centralDifferences(
      (qkv, scaleMul) => {
        const { q, k, v } = reference(c, { ...built, qkv, scaleMul: scaleMul.slice() });
        return Float64Array.of(...q, ...k, ...v);
      },
      [built.qkv, built.scaleMul],
      Float64Array.of(...dq, ...dk, ...dv),
    );
    const found = backwardReference(c, built, dq, dk, dv);
    assertNear(found.qkv, qkv!, 1e-7, "qkv");
    if (cosine) assertNear(found.scaleMul, scaleMul!, 1e-7, "scaleMul");
  }
});

for (const adapter of ["cpu", "gpu"] as const) {
  for (const dtype of ["f32", "f16"] as const) {
    Deno.test(`qkvRopeBackward() turns back and sums in ${dtype}, as on a ${adapter}`, async () => {
      for (
        const [c, add] of [
          [caseOf(1, 1, 1, 4, { dtype }), false],
          [caseOf(2, 5, 3, 36, { dtype }), true],
          [caseOf(3, 40, 2, 64, { dtype }), false],
          [caseOf(2, 3, 3, 256, { dtype, cosine: false }), false],
          [caseOf(2, 3, 3, 36, { dtype, cosine: false, cacheDtype: "f16" }), true],
        ] as const
      ) {
        const { args, expected } = buildBackward(2, c, add);
        if (adapter === "gpu") asGpu(() => qkvRopeBackward(device, args));
        else qkvRopeBackward(device, args);
        const name = JSON.stringify(c);
        const { tensor } = args.dqkv;
        await assertTensor(tensor, expected.qkv, TOLERANCE[tensor.dtype as "f32" | "f16"], name);
        const { dScaleMul } = args;
        if (dScaleMul) {
          await assertTensor(dScaleMul.tensor, expected.scaleMul, 5 * TOLERANCE.f32, name);
        }
      }
    });
  }
}

Deno.test("qkvRopeBackward() takes a norm that was clamped for a constant", async () => {
  const { args } = buildBackward(3, caseOf(1, 2, 1, 4), false);
  device.upload(args.qkv, new Float32Array(24));
  device.upload(args.dq, new Float32Array(8).fill(1));
  device.upload(args.dkv, new Float32Array(16));
  device.upload(args.scaleMul!, new Float32Array(1));
  qkvRopeBackward(device, args);
  const [dqkv, dScaleMul] = await device.readAll([args.dqkv.tensor, args.dScaleMul!.tensor]) as [
    Float32Array,
    Float32Array,
  ];
  const length = Math.hypot(...dqkv.slice(0, 4));
  assert(Math.abs(length / 2e12 - 1) < 1e-5, `${length}`);
  assertEquals(dqkv.slice(4, 8), new Float32Array(4));
  assertEquals(dScaleMul, Float32Array.of(0));
});

Deno.test("qkvRopeBackward() refuses shapes that disagree", () => {
  const { args } = buildBackward(4, caseOf(2, 3, 2, 8), false);
  const refused = (wrong: Partial<QkvRopeBackwardArgs>) =>
    assertThrows(
      () => qkvRopeBackward(device, { ...args, ...wrong }),
      KernelError,
      "Cannot send dq",
    );
  refused({ rows: 2 });
  refused({ heads: 4 });
  refused({ ropeStart: 3 });
  refused({ dkv: poisoned("f32", [6, 16]) });
  refused({ dqkv: { tensor: poisoned("f32", [6, 16]), add: false } });
  refused({ scaleMul: null });
  refused({ dScaleMul: { tensor: poisoned("f32", [3]), add: false } });
});
