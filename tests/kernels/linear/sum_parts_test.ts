import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { sumParts } from "../../../kernels/linear/sum_parts.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

const CASES = [
  [1, 1, 1, "f32", "none", false],
  [2, 3, 7, "f16", "silu", true],
  [4, 5, 8, "f32", "gate", true],
  [3, 70, 33, "f32", "add", false],
  [8, 9, 130, "f32", "gelu", true],
] as const;

for (const [S, M, N, dtype, epilogue, withBias] of CASES) {
  Deno.test(`sumParts() adds [${S}, ${M}, ${N}] to ${dtype}, ${epilogue}`, async () => {
    const next = random(S);
    const width = Math.ceil(N / 4) * 4;
    const parts = values(next, S * M * width), bias = values(next, width);
    const before = values(next, M * N), gates = values(next, 2 * width);
    // columns beyond N are whatever a kernel left there
    parts.forEach((_, i) => i % width >= N && (parts[i] = NaN));
    const gate = { tensor: upload("f32", [2, width], gates), offset: 0, stride: width, rows: 3 };
    const adds = epilogue === "add" || epilogue === "gate";
    const y = adds ? upload(dtype, [M, N], before) : poisoned(dtype, [M, N]);
    sumParts(device, {
      parts: upload("f32", [S, M, width], parts),
      N,
      bias: withBias ? upload("f32", [width], bias) : null,
      y,
      epilogue,
      ...epilogue === "gate" && { gate },
    });
    const sums = reference.sumParts(parts, withBias ? bias : null, S, M, N);
    const expected = reference.epilogue(sums, N, epilogue, {
      before,
      gates,
      gateAt: (m, n) => Math.floor(m / 3) * width + n,
    });
    await assertTensor(y, expected, TOLERANCE[dtype]);
  });
}

Deno.test("sumParts() refuses shapes that do not match", () => {
  assertThrows(
    () =>
      sumParts(device, {
        parts: poisoned("f32", [2, 3, 6]),
        N: 6,
        bias: null,
        y: poisoned("f32", [3, 6]),
      }),
    KernelError,
    "Cannot sum parts [2,3,6] with 6 columns to [3,6]",
  );
});
