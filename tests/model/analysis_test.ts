import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InputError } from "../../engine/mod.ts";
import { bitEntropy, flipSensitivity, type SensitivityOptions } from "../../model/analysis.ts";
import type { ImageBits } from "../../model/bits/image_bits.ts";
import type { Image } from "../../model/image/png.ts";

/** Levels that a bit adds: at scale 0 to a channel of all four pixels, at scale 1 to a channel of one pixel. */
const LEVELS = [40, 16] as const;

/** Bits of 2x2 pixels: 3 at scale 0, 12 at scale 1. */
function image(coarse: readonly number[], fine: readonly number[]): ImageBits {
  return {
    width: 2,
    height: 2,
    d: 3,
    latent: [2, 2],
    schedule: [[1, 1], [2, 2]],
    scales: [Uint8Array.from(coarse), Uint8Array.from(fine)],
  };
}

const ONE = image([1, 0, 1], [1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
const TWO = image([0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/** A decoder that adds up {@link LEVELS} and records its batches. */
function adder() {
  const calls: (readonly ImageBits[])[] = [];
  const decode = (list: readonly ImageBits[]): Promise<Image[]> => {
    calls.push(list);
    return Promise.resolve(list.map(({ width, height, scales: [coarse, fine] }) => {
      const rgba = new Uint8Array(4 * 4).fill(255);
      for (let i = 0; i < 12; i++) {
        const value = LEVELS[0] * coarse![i % 3]! + LEVELS[1] * (fine?.[i] ?? 0);
        rgba[4 * Math.floor(i / 3) + i % 3] = value;
      }
      return { width, height, rgba };
    }));
  };
  return { decode, calls, seen: () => calls.flat().map(({ scales }) => scales.map(String)) };
}

const decibels = (error: number) => 10 * Math.log10(255 ** 2 / error);

Deno.test("bitEntropy() matches values computed by hand", () => {
  const zeros = image([0, 0, 0], new Array(12).fill(0));
  const ones = image([1, 1, 1], new Array(12).fill(1));
  const all = (images: ImageBits[]) => bitEntropy(images).map((s) => [s.ones, s.entropy]);
  assertEquals(all([zeros]), [[0, 0], [0, 0]]);
  assertEquals(all([ones, ones]), [[1, 0], [1, 0]]);
  assertEquals(all([zeros, ones]), [[0.5, 1], [0.5, 1]]);

  // Scale 0: every channel is always the same. Scale 1: channels of 2, 1 and 2 ones in 4.
  const quarter = -0.25 * Math.log2(0.25) - 0.75 * Math.log2(0.75);
  const [coarse, fine] = bitEntropy([ONE]);
  assertEquals([coarse!.grid, coarse!.bits, coarse!.samples, coarse!.entropy], [[1, 1], 3, 1, 0]);
  assertEquals([fine!.grid, fine!.bits, fine!.samples], [[2, 2], 12, 4]);
  assertAlmostEquals(coarse!.ones, 2 / 3, 1e-12);
  assertAlmostEquals(fine!.ones, 5 / 12, 1e-12);
  assertAlmostEquals(fine!.entropy, (1 + quarter + 1) / 3, 1e-12);

  // A channel that is 1 in one image and 0 in the other has an entropy of 1.
  const striped = image([1, 0, 0], [1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0]);
  assertEquals(all([striped]), [[1 / 3, 0], [1 / 3, 0]]);
  const mixed = bitEntropy([striped, zeros]);
  assertEquals(mixed.map(({ samples }) => samples), [2, 8]);
  for (const { ones, entropy } of mixed) {
    assertAlmostEquals(ones, 1 / 6, 1e-12);
    assertAlmostEquals(entropy, 1 / 3, 1e-12);
  }
});

Deno.test("flipSensitivity() matches values computed by hand for a linear decoder", async () => {
  const { decode, calls } = adder();
  const told: number[][] = [];
  const onProgress = (...numbers: number[]) => told.push(numbers);
  const shares = [0.01, 0.5, 1];
  const scales = await flipSensitivity(decode, [ONE, TWO], { shares, trials: 3, onProgress });

  assertEquals(scales.map(({ grid }) => grid), [[1, 1], [2, 2]]);
  // Without scale 1 the images lack 5 and 2 of its ones.
  assertAlmostEquals(scales[0]!.upTo, decibels((5 + 2) / 2 * LEVELS[1] ** 2 / 12), 1e-9);
  assertEquals(scales[1]!.upTo, Infinity);
  // Whichever bits are flipped: one of scale 0 changes 4 of 12 values, one of scale 1 changes 1.
  const expected = [[1, 2, 3], [1, 6, 12]];
  for (const [s, { flips }] of scales.entries()) {
    assertEquals(flips.map(({ share }) => share), shares);
    assertEquals(flips.map(({ flips }) => flips), expected[s]);
    const each = LEVELS[s]! ** 2 * [4, 1][s]! / 12;
    for (const { flips: count, psnr, levelsPerFlip } of flips) {
      assertAlmostEquals(psnr, decibels(count * each), 1e-9);
      assertAlmostEquals(levelsPerFlip, Math.sqrt(each), 1e-9);
    }
  }
  // 2 complete, 2 of scale 0 alone, 2 images · 2 scales · 3 trials · 3 shares in batches of 16.
  assertEquals(calls.map((list) => list.length), [2, 2, 16, 16, 4]);
  assertEquals(told, [[2, 40], [4, 40], [20, 40], [36, 40], [40, 40]]);
});

Deno.test("flipSensitivity() flips bits of one scale, chosen by the seed of the image alone", async () => {
  const run = async (images: ImageBits[], seed: bigint, trials = 2) => {
    const { decode, seen } = adder();
    const options = { shares: [0.01, 0.5], trials, seed };
    return { numbers: await flipSensitivity(decode, images, options), seen: seen() };
  };
  const [first, again, other] = [
    await run([ONE], 5n),
    await run([ONE], 5n),
    await run([ONE], 6n),
  ];
  assertEquals(again, first);
  assert(`${other.seen}` !== `${first.seen}`, "another seed must flip other bits");

  const flipped = first.seen.slice(2).map((scales) =>
    scales.map((bits, s) => [...bits].filter((bit, i) => bit !== `${ONE.scales[s]}`[i]).length)
  );
  assertEquals(flipped, [[1, 0], [2, 0], [1, 0], [2, 0], [0, 1], [0, 6], [0, 1], [0, 6]]);
  for (let i = 2; i < first.seen.length; i += 2) {
    const [few, many] = first.seen.slice(i, i + 2).map(String);
    for (const [at, bit] of [...`${ONE.scales}`].entries()) {
      assert(few![at] === bit || many![at] === few![at], "more flips must include fewer");
    }
  }
  // Two images: complete, scale 0 alone, then scale by scale; the second as if it were alone.
  const both = await run([TWO, ONE], 5n);
  assertEquals([...both.seen.slice(8, 12), ...both.seen.slice(16, 20)], other.seen.slice(2));
});

Deno.test("flipSensitivity() decodes large images one at a time", async () => {
  const sizes: number[] = [];
  const bits = { ...ONE, width: 1024, height: 512 };
  const pixel = { width: 1, height: 1, rgba: new Uint8Array(4) };
  const decode = (list: readonly ImageBits[]) => {
    sizes.push(list.length);
    return Promise.resolve(list.map(() => pixel));
  };
  const options = { shares: [0.5], trials: 1 };
  const scales = await flipSensitivity(decode, [bits, bits, bits], options);
  assertEquals(sizes, [2, 1, 2, 1, 2, 2, 2]);
  assertEquals(scales[0]!.flips, [{ share: 0.5, flips: 2, psnr: Infinity, levelsPerFlip: 0 }]);
  sizes.length = 0;
  await flipSensitivity(decode, [{ ...bits, height: 2048 }], options);
  assertEquals(sizes, [1, 1, 1, 1]);
});

Deno.test("flipSensitivity() stops between batches at an abort", async () => {
  const controller = new AbortController();
  const { decode, calls } = adder();
  const reason = new Error("enough");
  const onProgress = (done: number) => done > 10 && controller.abort(reason);
  const options = { trials: 20, signal: controller.signal, onProgress };
  const error = await assertRejects(() => flipSensitivity(decode, [ONE], options));
  assertEquals(error, reason);
  assertEquals(calls.map((list) => list.length), [1, 1, 16]);
  await assertRejects(() => flipSensitivity(decode, [ONE], options), Error, "enough");
  assertEquals(calls.length, 3);
});

Deno.test("bitEntropy() and flipSensitivity() refuse bad input in one line", async () => {
  const { decode, calls } = adder();
  const [coarse, fine] = ONE.scales as [ImageBits["scales"][0], ImageBits["scales"][0]];
  const half = fine.slice(fine.length / 2);
  const square: ImageBits = { ...ONE, schedule: [[1, 1], [1, 2]], scales: [coarse, half] };
  const rejects = async (images: ImageBits[], options: SensitivityOptions, line: string) => {
    const sense = () => flipSensitivity(decode, images, options);
    assertEquals((await assertRejects(sense, InputError)).message, line);
  };
  for (
    const [images, line] of [
      [[], "Cannot analyse bits without an image: give one or more"],
      [
        [ONE, TWO, square],
        "Cannot analyse images 0 and 2 together: one has the scales 1x1,2x2, the other 1x1,1x2",
      ],
    ] as const
  ) {
    assertEquals(assertThrows(() => bitEntropy(images), InputError).message, line);
    await rejects([...images], {}, line);
  }
  for (const [bad, said] of [[0, "0"], [1.5, "1.5"], [NaN, "NaN"], [-0.1, "-0.1"]] as const) {
    const line = `Cannot flip a share of ${said} of the bits: give shares above 0 and at most 1`;
    await rejects([ONE], { shares: [0.5, bad] }, line);
  }
  const none = "Cannot flip no share of the bits: give shares above 0 and at most 1";
  await rejects([ONE], { shares: [] }, none);
  await rejects([ONE], { trials: 0 }, "Cannot flip bits in 0 trials: use 1 to 10000");
  await rejects([ONE], { trials: 1.5 }, "Cannot flip bits in 1.5 trials: use 1 to 10000");
  assertEquals(calls, []);
});
