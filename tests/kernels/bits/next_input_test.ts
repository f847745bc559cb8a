import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { nextInput } from "../../../kernels/bits/next_input.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import { resize, unshuffle } from "../images.ts";

Deno.test("nextInput() resizes the sum to tokens, also when shrinking", async () => {
  const next = random(42);
  for (
    const [B, H, W, dv, h, w] of [
      [1, 1, 1, 1, 1, 1],
      [2, 6, 9, 14, 2, 3],
      [3, 8, 4, 5, 7, 5],
    ] as const
  ) {
    const data = values(next, B * H * W * dv);
    const sum = upload("f32", [B, H, W, dv], data);
    const x = { shape: [B, H, W, dv], data };
    for (const dtype of ["f32", "f16"] as const) {
      for (const patchify of [false, true]) {
        const y = poisoned(dtype, [B, h * w, patchify ? 4 * dv : dv]);
        nextInput(device, { sum, y, height: h, width: w, patchify });
        const expected = patchify
          ? unshuffle(resize("linear", x, 2 * h, 2 * w))
          : resize("linear", x, h, w);
        await assertTensor(y, expected.data, TOLERANCE[dtype], `[${y.shape}] patchify ${patchify}`);
      }
    }
  }
});

Deno.test("nextInput() refuses shapes that do not fit", () => {
  const sum = poisoned("f32", [1, 4, 4, 8]);
  const y = poisoned("f32", [1, 4, 8]);
  assertThrows(
    () => nextInput(device, { sum, y, height: 3, width: 2, patchify: false }),
    KernelError,
    "Cannot make 3 × 2 tokens [1,4,8]",
  );
  assertThrows(
    () => nextInput(device, { sum, y, height: 2, width: 2, patchify: true }),
    KernelError,
    "Cannot resample [1,4,4,8] to [1,2,2,8]",
  );
});
