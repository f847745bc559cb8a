import { assert, assertEquals } from "@std/assert";
import {
  type Area,
  likeness,
  pairwisePsnr,
  psnrOf,
  shrink,
  squaredDistance,
} from "../../../../../model/training/data/base/measures.ts";

Deno.test("shrink(), psnrOf() and pairwisePsnr() are means over pixels", () => {
  const values = new Float32Array(2 * 4 * 4 * 3).fill(1, 48); // all 0, all 1
  values.set([4, 4, 4], 0);
  const small = shrink({ values, size: 4 }, 2);
  assertEquals([...small.values.subarray(0, 6)], [1, 1, 1, 0, 0, 0]);
  const flat = { values: new Float32Array(36).fill(0.2, 12, 24), size: 2 };
  const decibels = 10 * Math.log10(4 / 0.04);
  assert(Math.abs(psnrOf(flat, 0, flat, 1) - decibels) < 1e-5);
  assertEquals(psnrOf(flat, 0, flat, 2), Infinity);
  const two = { values: flat.values.subarray(0, 24), size: 2 };
  assert(Math.abs(pairwisePsnr(two) - decibels) < 1e-5);
});

Deno.test("squaredDistance() sums over an area of two images, or all", () => {
  const size = 3;
  const values = new Float32Array(2 * 27);
  // the second image has another power of two in each pixel
  for (let i = 0; i < 9; i++) values[27 + 3 * i + i % 3] = 2 ** i;
  const images = { values, size };
  const distance = (area?: Area) => squaredDistance(images, 0, images, 1, area);
  assertEquals(distance(), (4 ** 9 - 1) / 3);
  assertEquals(distance({ left: 0, right: 3, top: 1, bottom: 2 }), 4 ** 3 + 4 ** 4 + 4 ** 5);
  assertEquals(distance({ left: 1, right: 3, top: 0, bottom: 2 }), 4 + 4 ** 2 + 4 ** 4 + 4 ** 5);
});

Deno.test("likeness() compares images with their truths, and looks for nearer ones", () => {
  const level = (...levels: number[]) => {
    const values = Float32Array.from(levels.flatMap((v) => new Array(3).fill(v)));
    return { values, size: 1 };
  };
  const truths = level(0, 0.5, 1);
  assertEquals(likeness(level(0.25, 0.9), truths, [0, 2]).nearest, 1);
  const { psnr, nearest } = likeness(level(0.1, 0.1), truths, [0, 1]);
  assertEquals(nearest, 0.5);
  const decibels = (d: number) => 10 * Math.log10(4 / d ** 2);
  assert(Math.abs(psnr - (decibels(0.1) + decibels(0.4)) / 2) < 1e-5);
});
