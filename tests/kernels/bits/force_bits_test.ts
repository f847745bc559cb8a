import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { forceBits, FREE } from "../../../kernels/bits/force_bits.ts";
import { device, poisoned, random, upload } from "../harness.ts";

Deno.test("forceBits() replaces given bits and leaves free ones as they are", async () => {
  const next = random(52);
  for (const shape of [[1, 1, 1], [1, 7, 9], [3, 13, 5], [2, 64, 64]]) {
    const count = shape.reduce((product, n) => product * n, 1);
    const choose = (kinds: number) => Uint32Array.from({ length: count }, () => next() * kinds);
    const sampled = choose(2), given = choose(3);
    const bits = upload("u32", shape, sampled);
    forceBits(device, { forced: upload("u32", shape, given), bits });
    const expected = sampled.map((bit, i) => given[i] === FREE ? bit : given[i]!);
    assertEquals(await device.read(bits), expected, `[${shape}]`);
  }
});

Deno.test("forceBits() refuses shapes that disagree", () => {
  assertThrows(
    () =>
      forceBits(device, { forced: poisoned("u32", [1, 2, 4]), bits: poisoned("u32", [1, 4, 2]) }),
    KernelError,
    "Cannot force [1,2,4] on bits [1,4,2]",
  );
});
