import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { matmul } from "../../../kernels/linear/matmul.ts";
import { packOperand } from "../../../kernels/linear/operand.ts";
import {
  asGpu,
  assertTensor,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

/** Multiplies by an operand of parts of `sizes` rows. */
async function multiplied(
  next: () => number,
  [M, width]: readonly [number, number],
  sizes: readonly number[],
  transposed: boolean,
  source: "f32" | "f16",
  dtype: "f32" | "f16",
): Promise<void> {
  const stacked = sizes.reduce((sum, n) => sum + n, 0);
  const [K, N] = transposed ? [width, stacked] : [stacked, width];
  const w = values(next, K * N, "f16").map(Math.abs);
  const x = values(next, M * K).map(Math.abs);
  const bias = values(next, N);
  let first = 0;
  const parts = sizes.map((rows) =>
    upload(source, [rows, width], w.subarray(first * width, (first += rows) * width))
  );
  const before = device.memory.liveBytes;
  {
    using linear = packOperand(device, parts, {
      transposed,
      dtype,
      bias: upload("f32", [N], bias),
    });
    assertEquals([linear.K, linear.N], [K, N]);
    const y = poisoned("f32", [M, N]);
    matmul(device, { x: upload("f32", [M, K], x), linear, y });
    const rows = transposed ? w : reference.transpose(w, N, 0, N, K);
    await assertTensor(y, reference.matmul(x, rows, bias, M, K, N), TOLERANCE.f32);
  }
  const kept = (M * K + M * N + N) * 4;
  assertAlmostEquals(device.memory.liveBytes - before, kept, 64, "the operand's memory is back");
}

for (const transposed of [true, false]) {
  const name = transposed ? "[N, K] stacked along N" : "[K, N] stacked along K";
  Deno.test(`packOperand() packs ${name} for a product`, async () => {
    const next = random(transposed ? 44 : 45);
    const cases = [
      { size: [1, 1], sizes: [1] },
      { size: [9, 36], sizes: [40] },
      { size: [9, 35], sizes: [37] },
      { size: [5, 20], sizes: [16, 4, 32] },
      { size: [3, 13], sizes: [8, 12, 7] },
    ] as const;
    for (const { size, sizes } of cases) {
      await multiplied(next, size, sizes, transposed, "f32", "f32");
      await multiplied(next, size, sizes, transposed, "f16", "f32");
      await multiplied(next, size, sizes, transposed, "f32", "f16");
      await multiplied(next, size, sizes, transposed, "f16", "f16");
    }
  });
}

Deno.test("packOperand() copies nothing where a tensor is already packed", () => {
  const w = poisoned("f32", [8, 12]);
  asGpu(() => assertEquals(packOperand(device, [w], { transposed: false }).weight, w));
});

Deno.test("packOperand() refuses parts that do not stack", () => {
  const pack = (...shapes: [number, number][]) => () =>
    packOperand(device, shapes.map((shape) => poisoned("f32", shape)), { transposed: true });
  assertThrows(pack([3, 4], [4, 4]), KernelError, "Cannot stack [4,4]");
  assertThrows(pack([4, 4], [4, 5]), KernelError, "Cannot stack [4,5]");
  assertThrows(pack(), KernelError, "no parts");
});
