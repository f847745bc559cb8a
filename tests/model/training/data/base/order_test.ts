import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Draws, Lottery } from "../../../../../model/training/data/base/draws.ts";
import { chooseImages, shuffledIndex } from "../../../../../model/training/data/base/order.ts";

const indices = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("shuffledIndex() is a permutation that seed, epoch and group decide", () => {
  for (const count of [1, 2, 3, 16, 17, 1000]) {
    const order = (seed: bigint, epoch: number, group: number) =>
      indices(count).map((i) => shuffledIndex(i, count, seed, epoch, group));
    assertEquals(order(7n, 0, 1).toSorted((a, b) => a - b), indices(count));
    assertEquals(order(7n, 0, 1), order(7n, 0, 1));
    if (count < 16) continue;
    assertNotEquals(order(7n, 0, 1), order(8n, 0, 1));
    assertNotEquals(order(7n, 0, 1), order(7n, 1, 1));
    assertNotEquals(order(7n, 0, 1), order(7n, 0, 2));
  }
});

Deno.test("shuffledIndex() sends every place everywhere", () => {
  const seen = indices(8).map(() => new Array(8).fill(0));
  for (let epoch = 0; epoch < 4000; epoch++) {
    for (let i = 0; i < 8; i++) seen[i]![shuffledIndex(i, 8, 3n, epoch, 0)]++;
  }
  for (const count of seen.flat()) assert(count > 400 && count < 600, `${seen}`);
});

Deno.test("chooseImages() shows each image once in an epoch, and all of a batch are of one group", () => {
  const counts = [12, 0, 8];
  for (const epoch of [0, 1]) {
    const seen = [0, 1, 2].map(() => new Set<number>());
    for (let step = 0; step < 5; step++) {
      const { group, places } = chooseImages(counts, 1n, epoch * 5 + step, 4);
      for (const place of places) {
        assert(!seen[group]!.has(place));
        seen[group]!.add(place);
      }
    }
    assertEquals(seen.map(({ size }) => size), counts);
  }
});

Deno.test("chooseImages() fills batches that are larger than the group", () => {
  const { places } = chooseImages([3], 1n, 5, 8);
  const times = [0, 1, 2].map((i) => places.filter((place) => place === i).length);
  assertEquals(places.length, 8);
  assertEquals(times.toSorted(), [2, 3, 3]);
});

Deno.test("Draws are the same for the same place, and spread over [0, 1)", () => {
  const list = (index: number) => {
    const draws = new Draws(9n, 1, 2, index);
    return indices(1000).map(() => draws.next());
  };
  assertEquals(list(3), list(3));
  assertNotEquals(list(3), list(4));
  const mean = list(3).reduce((sum, v) => sum + v, 0) / 1000;
  assert(Math.abs(mean - 0.5) < 0.05 && list(3).every((v) => v >= 0 && v < 1));
});

Deno.test("Lottery draws in proportion to weights, and never what has none", () => {
  const lottery = new Lottery([0, 1, 0, 3, 0]);
  const draws = new Draws(1n, 1, 0, 0);
  const seen = [0, 0, 0, 0, 0];
  for (let i = 0; i < 4000; i++) seen[lottery.draw(draws)]!++;
  assertEquals([seen[0], seen[2], seen[4]], [0, 0, 0]);
  assert(Math.abs(seen[3]! / seen[1]! - 3) < 0.4, `${seen}`);
  assertEquals(new Lottery([0, 0]).possible, false);
  assertEquals(new Lottery([]).possible, false);
});
