import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { below as random } from "../../random.ts";
import {
  bitCount,
  bitsOfTokens,
  type ImageBits,
  interpolateBits,
  otherScales,
  takeScales,
  tokensOfBits,
} from "../../../model/bits/image_bits.ts";
import { scheduleText } from "../../../model/config/grid.ts";
import { parseSchedule } from "../../../model/config/schedule.ts";
import { type Image, shuffle, unshuffle } from "../../kernels/images.ts";

/** An image of random bits, 8 pixels per position of the last scale. */
function image(schedule: string, d: number, seed: number): ImageBits {
  const next = random(seed);
  const grids = parseSchedule(schedule);
  const latent = grids.at(-1)!;
  return {
    width: 8 * latent[1],
    height: 8 * latent[0],
    d,
    latent,
    schedule: grids,
    scales: grids.map(([h, w]) => Uint8Array.from({ length: h * w * d }, () => next(2))),
    model: `made of ${seed}`,
  };
}

/** Indices at which two scales differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  assertEquals(a.length, b.length);
  return [...a.keys()].filter((i) => a[i] !== b[i]);
}

function refuses(make: () => unknown, code: string, message: string): void {
  const error = assertThrows(make, InputError);
  assertEquals([error.code, error.message], [code, message]);
}

Deno.test("takeScales() keeps the first scales and everything else", () => {
  const bits = image("1x1,2x3,3x4,6x8", 5, 1);
  const before = structuredClone(bits);
  for (const count of [1, 2, 3, 4]) {
    const { schedule, scales, ...rest } = takeScales(bits, count);
    const { schedule: allGrids, scales: allScales, ...all } = bits;
    assertEquals(schedule, allGrids.slice(0, count));
    assertEquals(scales, allScales.slice(0, count));
    assertEquals(rest, all);
  }
  assertEquals(bits, before);
  assertEquals(takeScales(takeScales(bits, 3), 2), takeScales(bits, 2));
});

Deno.test("takeScales() refuses counts out of range", () => {
  const bits = image("1x1,2x3,3x4,6x8", 5, 1);
  for (const count of [0, -1, 5, 1.5, NaN, Infinity]) {
    refuses(
      () => takeScales(bits, count),
      "bad-value",
      `Cannot take ${count} scales: the image has 4, use 1 to 4`,
    );
  }
  refuses(
    () => takeScales(takeScales(bits, 2), 3),
    "bad-value",
    "Cannot take 3 scales: the image has 2, use 1 to 2",
  );
});

Deno.test("bitCount() counts d bits per position", () => {
  assertEquals(bitCount(image("1x1,2x3,3x4", 5, 1)), (1 + 6 + 12) * 5);
  assertEquals(bitCount(image("7x1", 1, 1)), 7);
  assertEquals(bitCount(takeScales(image("1x1,2x3,3x4", 5, 1), 2)), (1 + 6) * 5);
});

Deno.test("interpolateBits() ends at its two images", () => {
  const from = image("1x1,2x3,3x4,6x8", 5, 1), to = image("1x1,2x3,3x4,6x8", 5, 2);
  assertNotEquals(from.scales, to.scales);
  const before = structuredClone([from, to]);
  for (const seed of [undefined, 0n, 7n, 2n ** 64n - 1n]) {
    assertEquals(interpolateBits(from, to, 0, seed), from);
    assertEquals(interpolateBits(from, to, 1, seed), { ...from, scales: to.scales });
    assertEquals(interpolateBits(from, from, 0.5, seed), from);
  }
  // the result is a copy, which the caller may change
  for (const t of [0, 0.5, 1]) interpolateBits(from, to, t).scales.forEach((bits) => bits.fill(3));
  assertEquals([from, to], before);
});

Deno.test("interpolateBits() turns the same share of each scale, and no bit back", () => {
  const from = image("1x1,2x3,3x4,6x8,10x9", 5, 3), to = image("1x1,2x3,3x4,6x8,10x9", 5, 4);
  for (const seed of [0n, 1n, 0x1234_5678_9abc_def0n]) {
    let turned: number[][] = from.scales.map(() => []);
    for (let step = 0; step <= 64; step++) {
      const t = step / 64;
      const between = interpolateBits(from, to, t, seed);
      const now = between.scales.map((bits, s) => differences(from.scales[s]!, bits));
      for (const [s, bits] of between.scales.entries()) {
        const all = differences(from.scales[s]!, to.scales[s]!).length;
        const share = Math.round(t * all);
        assertEquals(now[s]!.length, share);
        // bits that are the same in both do not turn
        assertEquals(differences(bits, to.scales[s]!).length, all - share);
        const still = new Set(now[s]);
        assert(turned[s]!.every((i) => still.has(i)), `scale ${s}, t ${t}`);
      }
      turned = now;
    }
  }
});

Deno.test("interpolateBits() turns different bits for different seeds and scales, spread evenly", () => {
  const one = image("16x16", 8, 5), other = image("16x16", 8, 6);
  const twice = (bits: ImageBits): ImageBits => ({
    ...bits,
    schedule: [...bits.schedule, ...bits.schedule],
    scales: [...bits.scales, ...bits.scales],
  });
  const from = twice(one), to = twice(other);
  const half = (seed?: bigint) => interpolateBits(from, to, 0.5, seed).scales;
  assertEquals(half(5n), half(5n));
  assertEquals(half(), half(0n));
  const scales = [0n, 5n, 5n + 2n ** 32n].flatMap(half);
  for (const [i, a] of scales.entries()) {
    for (const b of scales.slice(i + 1)) assertNotEquals(a, b);
  }
  const all = differences(from.scales[0]!, to.scales[0]!);
  for (const bits of scales) {
    const turned = new Set(differences(from.scales[0]!, bits));
    const early = all.slice(0, all.length / 2).filter((i) => turned.has(i)).length;
    // a quarter of about 1000, standard deviation 11
    assert(Math.abs(early - all.length / 4) < 60, `${early} of ${all.length}`);
  }
});

Deno.test("interpolateBits() refuses other scales", () => {
  const bits = image("1x1,2x3,3x4", 5, 1);
  const others: [ImageBits, string][] = [
    [image("1x1,2x3,3x4", 6, 1), "one has 5 bits a position, the other 6"],
    [image("1x1,2x3,4x3", 5, 1), "one has 3x4 positions, the other 4x3"],
    [image("1x1,3x2,3x4", 5, 1), "one has the scales 1x1,2x3,3x4, the other 1x1,3x2,3x4"],
    [takeScales(bits, 2), "one has the scales 1x1,2x3,3x4, the other 1x1,2x3"],
  ];
  for (const [other, why] of others) {
    assertEquals(otherScales(bits, other), why);
    for (const t of [0, 0.5, 1]) {
      refuses(() => interpolateBits(bits, other, t), "other-bits", `Cannot interpolate: ${why}`);
    }
  }
  assertEquals(
    otherScales(takeScales(bits, 2), bits),
    "one has the scales 1x1,2x3, the other 1x1,2x3,3x4",
  );
});

Deno.test("interpolateBits() refuses t out of range", () => {
  const from = image("1x1,2x3", 5, 1), to = image("1x1,2x3", 5, 2);
  for (const t of [-1e-9, 1 + 1e-9, -1, 2, NaN, Infinity, -Infinity]) {
    refuses(
      () => interpolateBits(from, to, t),
      "bad-value",
      `Cannot interpolate at ${t}: it must be from 0 to 1`,
    );
  }
});

Deno.test("otherScales() accepts other bits and another model", () => {
  const bits = image("1x1,2x3,3x4", 5, 1);
  assertEquals(otherScales(bits, bits), null);
  assertEquals(otherScales(bits, image("1x1,2x3,3x4", 5, 2)), null);
  assertEquals(otherScales(takeScales(bits, 2), takeScales(bits, 2)), null);
});

Deno.test("scheduleText() writes what parseSchedule() reads", () => {
  const text = "1x1,2x3,40x9";
  assertEquals(scheduleText([[1, 1], [2, 3], [40, 9]]), text);
  assertEquals(scheduleText(parseSchedule(text)), text);
});

Deno.test("bitsOfTokens() and tokensOfBits() are pixel_shuffle and its inverse", () => {
  const B = 3;
  for (const patchify of [false, true]) {
    const p = patchify ? 2 : 1;
    for (const [rows, columns, d] of [[1, 1, 1], [1, 4, 2], [3, 2, 5], [5, 7, 3], [4, 4, 32]]) {
      const D = d * p * p;
      const next = random(rows * 100 + columns * 10 + d);
      const each = rows * columns * D;
      const tokens = Uint32Array.from({ length: B * each }, () => next(2));
      const asImage: Image = { shape: [B, rows, columns, D], data: Float64Array.from(tokens) };
      const positions = patchify ? shuffle(asImage) : asImage;
      assertEquals(positions.shape, [B, rows * p, columns * p, d]);
      for (let b = 0; b < B; b++) {
        const bits = bitsOfTokens(tokens, b, [rows * p, columns * p], d, patchify);
        assertEquals([...bits], [...positions.data.slice(b * each, (b + 1) * each)]);
        const back = tokensOfBits(bits, [rows * p, columns * p], d, patchify);
        assertEquals([...back], [...tokens.slice(b * each, (b + 1) * each)]);
      }
      const bits = Float64Array.from({ length: each }, () => next(2));
      const grid = [rows * p, columns * p] as const;
      const asTokens: Image = { shape: [1, ...grid, d], data: bits };
      assertEquals(
        [...tokensOfBits(bits, grid, d, patchify)],
        [...(patchify ? unshuffle(asTokens) : asTokens).data],
      );
    }
  }
  // one token, channel 4c + 2dy + dx: rows of two positions of two channels
  const token = [0, 1, 2, 3, 4, 5, 6, 7];
  assertEquals([...bitsOfTokens(token, 0, [2, 2], 2, true)], [0, 4, 1, 5, 2, 6, 3, 7]);
  assertEquals([...tokensOfBits([0, 4, 1, 5, 2, 6, 3, 7], [2, 2], 2, true)], token);
});
