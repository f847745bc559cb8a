import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { psnr, ssim } from "../../../model/image/metrics.ts";
import type { Image } from "../../../model/image/png.ts";

const C1 = 6.5025; // (0.01 · 255)²
const C2 = 58.5225; // (0.03 · 255)²

/** An image of one colour. */
function plain(width: number, height: number, ...colour: number[]): Image {
  const length = width * height * 4;
  return { width, height, rgba: Uint8Array.from({ length }, (_, i) => colour[i % 4] ?? 255) };
}

/** An image of noise that depends on the seed only. */
function noise(width: number, height: number, seed: number): Image {
  let state = seed;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  return { width, height, rgba: Uint8Array.from({ length: width * height * 4 }, next) };
}

/** Mixes a part of another image into an image. */
function mixed(a: Image, b: Image, share: number): Image {
  return { ...a, rgba: a.rgba.map((v, i) => v * (1 - share) + b.rgba[i]! * share) };
}

/** SSIM by its definition: each window separately, in two dimensions, moments about the mean. */
function bruteSsim(a: Image, b: Image): number {
  const { width, height } = a;
  const least = Math.min(11, width, height);
  const size = least % 2 === 1 ? least : least - 1;
  const middle = (size - 1) / 2;
  const bell = (y: number, x: number) => Math.exp(-((y - middle) ** 2 + (x - middle) ** 2) / 4.5);
  const window: { y: number; x: number; weight: number }[] = [];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) window.push({ y, x, weight: bell(y, x) });
  }
  const total = window.reduce((sum, { weight }) => sum + weight, 0);
  const values: number[] = [];
  for (let c = 0; c < 3; c++) {
    for (let top = 0; top <= height - size; top++) {
      for (let left = 0; left <= width - size; left++) {
        const mean = (of: (p: number, q: number) => number) =>
          window.reduce((sum, { y, x, weight }) => {
            const at = 4 * ((top + y) * width + left + x) + c;
            return sum + weight * of(a.rgba[at]!, b.rgba[at]!);
          }, 0) / total;
        const [mp, mq] = [mean((p) => p), mean((_, q) => q)];
        const [vp, vq] = [mean((p) => (p - mp) ** 2), mean((_, q) => (q - mq) ** 2)];
        const covariance = mean((p, q) => (p - mp) * (q - mq));
        const luminance = (2 * mp * mq + C1) / (mp ** 2 + mq ** 2 + C1);
        values.push(luminance * (2 * covariance + C2) / (vp + vq + C2));
      }
    }
  }
  return values.reduce((x, y) => x + y) / values.length;
}

Deno.test("psnr() matches values computed by hand", () => {
  const black = plain(5, 3, 0, 0, 0);
  assertEquals(psnr(black, plain(5, 3, 255, 255, 255)), 0);
  assertEquals(psnr(black, black), Infinity);
  // An error of 1 everywhere: 20 log10(255).
  assertAlmostEquals(psnr(plain(4, 4, 7, 8, 9), plain(4, 4, 8, 7, 10)), 48.130803608679, 1e-9);
  // One of six values off by 3: an MSE of 1.5.
  const [a, b] = [plain(2, 1, 10, 20, 30), plain(2, 1, 10, 20, 30)];
  b.rgba[5] = 23;
  assertAlmostEquals(psnr(a, b), 46.369891018122, 1e-9);
  assertEquals(psnr(a, b), psnr(b, a));
});

Deno.test("ssim() matches values computed by hand for constant images", () => {
  const levels = (p: number, q: number) => (2 * p * q + C1) / (p * p + q * q + C1);
  for (const [width, height] of [[1, 1], [2, 5], [11, 11], [16, 12]] as const) {
    const same = (value: number) => plain(width, height, value, value, value);
    assertAlmostEquals(ssim(same(100), same(150)), levels(100, 150), 1e-9);
    assertAlmostEquals(ssim(same(0), same(255)), C1 / (255 * 255 + C1), 1e-9);
    const red = ssim(plain(width, height, 30, 5, 6), plain(width, height, 60, 5, 6));
    assertAlmostEquals(red, (levels(30, 60) + 2) / 3, 1e-9);
  }
});

Deno.test("ssim() matches a value computed by hand in one window of 3x3", () => {
  // A bright middle against a dark one: the middle weighs w, so p has mean 255w and variance
  // 255²w(1 - w), q = 255 - p, and the covariance is minus the variance.
  const p = plain(3, 3, 0, 0, 0);
  const q = plain(3, 3, 255, 255, 255);
  p.rgba.fill(255, 16, 19);
  q.rgba.fill(0, 16, 19);
  const w = 1 / (1 + 2 * Math.exp(-1 / 4.5)) ** 2;
  const variance = 255 ** 2 * w * (1 - w);
  const [mp, mq] = [255 * w, 255 * (1 - w)];
  const expected = (2 * mp * mq + C1) * (-2 * variance + C2) /
    ((mp ** 2 + mq ** 2 + C1) * (2 * variance + C2));
  assert(expected < -0.1);
  assertAlmostEquals(ssim(p, q), expected, 1e-12);
});

Deno.test("ssim() matches its definition, window by window", () => {
  const sizes = [[1, 1], [3, 3], [2, 9], [10, 13], [11, 11], [13, 11], [15, 23], [12, 27]] as const;
  for (const [i, [width, height]] of sizes.entries()) {
    const [a, b] = [noise(width, height, i + 1), noise(width, height, i + 101)];
    for (const other of [b, mixed(a, b, 0.05), mixed(a, b, 0.4)]) {
      assertAlmostEquals(ssim(a, other), bruteSsim(a, other), 1e-10);
    }
  }
});

Deno.test("ssim() is 1 for equal images and symmetric", () => {
  for (const [width, height] of [[1, 1], [9, 4], [31, 17]] as const) {
    const [a, b] = [noise(width, height, 5), noise(width, height, 6)];
    assertEquals(ssim(a, { ...a, rgba: a.rgba.slice() }), 1);
    assertEquals(ssim(a, b), ssim(b, a));
    assert(ssim(a, b) < 0.99);
    assert(ssim(a, mixed(a, b, 0.1)) > ssim(a, mixed(a, b, 0.3)));
  }
});

Deno.test("psnr() and ssim() ignore alpha and leave both images unchanged", () => {
  const [a, b] = [noise(12, 12, 1), noise(12, 12, 2)];
  const opaque = { ...b, rgba: b.rgba.map((v, i) => i % 4 === 3 ? 255 : v) };
  const before = [a.rgba.slice(), b.rgba.slice()];
  assertEquals(psnr(a, b), psnr(a, opaque));
  assertEquals(ssim(a, b), ssim(a, opaque));
  assertEquals(psnr(b, opaque), Infinity);
  assertEquals(ssim(b, opaque), 1);
  assertEquals([a.rgba, b.rgba], before);
});

Deno.test("psnr() and ssim() refuse images that cannot be compared", () => {
  const refuses = (call: () => number, reason: string) => {
    const { message } = assertThrows(call, InputError, reason);
    assert(!message.includes("\n"));
  };
  const wide = noise(6, 2, 1);
  for (const metric of [psnr, ssim]) {
    refuses(() => metric(wide, noise(2, 6, 1)), "one is 2x6, not 6x2");
    refuses(() => metric(wide, noise(3, 2, 1)), "one is 3x2, not 6x2");
    refuses(
      () => metric(wide, { ...wide, rgba: wide.rgba.subarray(4) }),
      "44 bytes as 6x2 pixels: 4 channels are 48",
    );
    refuses(() => metric(noise(0, 2, 1), noise(0, 2, 1)), "whole numbers above 0");
    refuses(
      () => metric({ ...wide, width: -6, height: -2 }, wide),
      "of -6x-2 pixels: both must be",
    );
  }
});
