import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import type { Epilogue } from "../../../kernels/linear/epilogue.ts";
import { sumParts } from "../../../kernels/linear/sum_parts.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";

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
    const finish: Record<Epilogue, (v: number, i: number) => number> = {
      none: (v) => v,
      gelu: (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
      silu: (v) => v / (1 + Math.exp(-v)),
      add: (v, i) => before[i]! + v,
      gate: (v, i) => before[i]! + gates[Math.floor(i / N / 3) * width + i % N]! * v,
    };
    const expected = Float64Array.from({ length: M * N }, (_, i) => {
      const [m, n] = [Math.floor(i / N), i % N];
      let sum = withBias ? bias[n]! : 0;
      for (let s = 0; s < S; s++) sum += parts[(s * M + m) * width + n]!;
      return finish[epilogue](sum, i);
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
