import { assert, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { quantiseBits } from "../../../kernels/bits/quantise_bits.ts";
import { device, poisoned, random, upload, values } from "../harness.ts";
import { resize } from "../images.ts";

Deno.test("quantiseBits() takes the signs of area means, also when enlarging", async () => {
  const next = random(51);
  for (
    const [B, H, W, d, h, w] of [
      [1, 1, 1, 1, 1, 1],
      [2, 6, 9, 14, 2, 3],
      [3, 7, 5, 3, 1, 1],
      [1, 5, 4, 16, 5, 4],
      [2, 13, 9, 5, 4, 7],
      [1, 3, 2, 33, 5, 4], // larger than the residual
    ] as const
  ) {
    const data = values(next, B * H * W * d);
    data[0] = 0; // no sign: 0 is not above zero
    const bits = poisoned("u32", [B, h * w, d]);
    quantiseBits(device, { x: upload("f32", [B, H, W, d], data), bits, height: h, width: w });
    const actual = await device.read(bits);
    const mean = resize("area", { shape: [B, H, W, d], data }, h, w).data;
    mean.forEach((v, i) => {
      // f32 may round a mean close to zero to either side
      const fits = Math.abs(v) < 1e-7 && v !== 0 ? actual[i]! <= 1 : actual[i] === Number(v > 0);
      assert(fits, `[${B},${H},${W},${d}] to ${h}x${w}: bit ${i} of ${v} is ${actual[i]}`);
    });
  }
});

Deno.test("quantiseBits() refuses shapes that do not fit", () => {
  const x = poisoned("f32", [1, 4, 4, 8]);
  for (const [shape, height] of [[[1, 4, 8], 3], [[1, 4, 4], 2], [[2, 4, 8], 2]] as const) {
    assertThrows(
      () => quantiseBits(device, { x, bits: poisoned("u32", [...shape]), height, width: 2 }),
      KernelError,
      "Cannot quantise [1,4,4,8]",
    );
  }
});
