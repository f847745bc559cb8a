import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { resampleBackward } from "../../../kernels/bits/resample_backward.ts";
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
import { resize, resizeBackward } from "../images.ts";

const MODES = ["area", "linear"] as const;

/** B, size of x, C, size of y: smaller, larger, equal, and each axis another way. */
const CASES = [
  [1, 1, 1, 1, 1, 1],
  [1, 1, 1, 4, 5, 3],
  [2, 7, 5, 4, 1, 1],
  [2, 5, 3, 7, 8, 9],
  [1, 6, 4, 3, 6, 4],
  [3, 11, 13, 5, 4, 6],
  [2, 2, 9, 8, 13, 2],
  [1, 16, 16, 16, 5, 7],
] as const;

Deno.test("The reference of resampleBackward() is the gradient of that of resample()", () => {
  const next = random(71);
  for (const [B, H, W, C, h, w] of CASES.slice(0, 6)) {
    for (const mode of MODES) {
      const dy = values(next, B * h * w * C);
      const forward = (data: Float64Array) =>
        resize(mode, { shape: [B, H, W, C], data }, h, w).data;
      const [dx] = centralDifferences(forward, [values(next, B * H * W * C)], dy);
      const { data } = resizeBackward(mode, { shape: [B, h, w, C], data: dy }, H, W);
      assertNear(data, dx!, 1e-8, `${mode} ${[H, W]} to ${[h, w]}`);
    }
  }
});

Deno.test("resampleBackward() sends gradients back in both modes, or adds them", async () => {
  const next = random(72);
  for (const [B, H, W, C, h, w] of CASES) {
    for (const mode of MODES) {
      for (const dtype of ["f32", "f16"] as const) {
        const data = values(next, B * h * w * C, dtype);
        const dy = upload(dtype, [B, h, w, C], data);
        const expected = resizeBackward(mode, { shape: [B, h, w, C], data }, H, W).data;
        const what = `${mode} ${[H, W]} to ${[h, w]}`;
        const dx = poisoned(dtype, [B, H, W, C]);
        resampleBackward(device, { dy, dx: { tensor: dx, add: false }, mode });
        await assertTensor(dx, expected, TOLERANCE[dtype], what);
        const before = values(next, B * H * W * C);
        const sum = upload("f32", [B, H, W, C], before);
        resampleBackward(device, { dy, dx: { tensor: sum, add: true }, mode });
        await assertTensor(sum, expected.map((v, i) => v + before[i]!), TOLERANCE.f32, what);
      }
    }
  }
});

Deno.test("resampleBackward() refuses shapes that disagree", () => {
  const dx = { tensor: poisoned("f32", [2, 4, 4, 8]), add: false };
  assertThrows(
    () => resampleBackward(device, { dy: poisoned("f32", [2, 3, 3, 4]), dx, mode: "area" }),
    KernelError,
    "Cannot send the gradient of [2,3,3,4] back to [2,4,4,8]",
  );
});
