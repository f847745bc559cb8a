import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { flipBits, type FlipBitsArgs } from "../../../kernels/bits/flip_bits.ts";
import { device, poisoned, random, upload } from "../harness.ts";
import * as reference from "./references.ts";

/** B, tokens of all scales, first token, tokens, bits. */
const SHAPES = [[1, 1, 0, 1, 1], [2, 9, 4, 5, 7], [3, 30, 5, 16, 16], [2, 6, 1, 4, 56]] as const;

Deno.test("flipBits() flips random bits, those of a mask, or none", async () => {
  const next = random(61);
  for (const [B, L, first, rows, d] of SHAPES) {
    const bits = (count: number) => Uint32Array.from({ length: count }, () => Number(next() < 0.5));
    const all = bits(B * L * d), mask = bits(B * rows * d);
    const own = Uint32Array.from(
      mask,
      (_, i) => all[Math.floor(i / rows / d) * L * d + first * d + i % (rows * d)]!,
    );
    const x = upload("u32", [B, L, d], all);
    const flipped = async (flips: FlipBitsArgs["flips"]) => {
      const y = poisoned("u32", [B, rows, d]);
      flipBits(device, { x, first, y, flips });
      return await device.read(y);
    };
    assertEquals(await flipped(null), own);
    const given = upload("u32", [B, rows, d], mask);
    assertEquals(await flipped({ mask: given }), own.map((bit, i) => bit ^ mask[i]!));

    const random = { seed: 12345, step: 6, image: 2 };
    const p = Float32Array.from({ length: 3 * B }, () => next());
    const strengths = upload("f32", [B, 3], p);
    const uniforms = reference.flipUniforms([B, rows, d], 1, random);
    const expected = own.map((bit, i) =>
      bit ^ Number(uniforms[i]! < p[3 * Math.floor(i / rows / d) + 1]!)
    );
    assertEquals(await flipped({ strengths, scale: 1, random }), expected);
  }
});

Deno.test("flipBits() flips about as many as asked, others in each step, scale and image", async () => {
  const shape = [2, 400, 32] as const;
  const flips = async (step: number, scale: number) => {
    const y = poisoned("u32", shape);
    const strengths = upload("f32", [2, 2], [0.2, 0.2, 0.2, 0.2]);
    const x = upload("u32", shape, new Uint32Array(2 * 400 * 32));
    flipBits(device, { x, first: 0, y, flips: { strengths, scale, random: { seed: 1, step } } });
    const read = await device.read(y) as Uint32Array;
    return [read.subarray(0, 400 * 32), read.subarray(400 * 32)];
  };
  const masks = (await Promise.all([flips(0, 0), flips(1, 0), flips(0, 1)])).flat();
  for (const [a, one] of masks.entries()) {
    const share = one.reduce((sum, bit) => sum + bit, 0) / one.length;
    assert(Math.abs(share - 0.2) < 0.015, `${share} of the bits`);
    for (const other of masks.slice(a + 1)) {
      const both = one.reduce((sum, bit, i) => sum + (bit & other[i]!), 0) / one.length;
      assert(Math.abs(both - 0.04) < 0.01, `${both} of the bits in both`);
    }
  }
});

Deno.test("flipBits() refuses shapes that disagree", () => {
  const u32 = (...shape: number[]) => poisoned("u32", shape);
  const args: FlipBitsArgs = { x: u32(2, 9, 4), first: 5, y: u32(2, 4, 4), flips: null };
  const source = { seed: 1, step: 0 };
  const wrong: Partial<FlipBitsArgs>[] = [
    { first: 6 },
    { y: u32(2, 4, 3) },
    { y: u32(1, 4, 4) },
    { flips: { mask: u32(2, 4, 3) } },
    { flips: { strengths: poisoned("f32", [2, 3]), scale: 3, random: source } },
    { flips: { strengths: poisoned("f32", [5]), scale: 0, random: source } },
  ];
  for (const change of wrong) {
    assertThrows(() => flipBits(device, { ...args, ...change }), KernelError, "Cannot flip");
  }
});
