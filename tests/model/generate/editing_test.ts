import { assert, assertEquals } from "@std/assert";
import { below as random } from "../../random.ts";
import type { Grid } from "../../../model/config/grid.ts";
import { parseSchedule } from "../../../model/config/schedule.ts";
import { freeTokens } from "../../../model/generate/images/mask.ts";
import { type Image, image, resize, shuffle } from "../../kernels/images.ts";

/** Grids of tokens, some larger than the grid of positions. */
interface Case {
  latent: Grid;
  schedule: Grid[];
  patchify: boolean;
}

const CASES: Case[] = [
  { latent: [8, 8], schedule: parseSchedule("1x1,2x2,3x3,4x4,5x5,6x6,8x8"), patchify: false },
  { latent: [16, 16], schedule: parseSchedule("1x1,2x2,3x3,4x4,6x6,8x8"), patchify: true },
  { latent: [10, 6], schedule: parseSchedule("1x1,2x1,3x2,5x3,7x4,10x6"), patchify: false },
  { latent: [6, 14], schedule: parseSchedule("1x1,1x2,2x4,3x5,3x7"), patchify: true },
  { latent: [5, 7], schedule: parseSchedule("7x5,11x9,10x14,17x23,5x7"), patchify: false },
  { latent: [6, 8], schedule: parseSchedule("5x3,2x9,9x11,20x1,3x4"), patchify: true },
  { latent: [1, 1], schedule: parseSchedule("1x1,2x2,5x4"), patchify: true },
  { latent: [1, 9], schedule: parseSchedule("1x1,2x3,4x20,1x9"), patchify: false },
];

/** Adds the codes [1, rows, columns, D] of a scale to positions [1, H, W, d]. */
function spread(codes: Image, [H, W]: Grid, patchify: boolean): Image {
  return resize("linear", patchify ? shuffle(codes) : codes, H, W);
}

/** The positions that each token of a scale affects: those that change if its codes alone are 1. */
function reached(latent: Grid, [rows, columns]: Grid, patchify: boolean): number[][] {
  return Array.from({ length: rows * columns }, (_, token) => {
    const one = image(
      [1, rows, columns, patchify ? 4 : 1],
      (_, row, col) => row * columns + col === token ? 1 : 0,
    );
    const { data } = spread(one, latent, patchify);
    // true weights are above 1 / (4 · H · W); rounding makes some of 1e-16
    return [...data.keys()].filter((i) => data[i]! > 1e-9);
  });
}

/** Masks of many shapes: boxes, all but boxes, noise, one position, all but one. */
function masks([H, W]: Grid, seed: number): boolean[][] {
  const next = random(seed);
  const positions = (free: (row: number, col: number) => boolean) =>
    Array.from({ length: H * W }, (_, i) => free(Math.floor(i / W), i % W));
  const box = () => {
    const [top, left] = [next(H), next(W)];
    const [bottom, right] = [top + next(H - top), left + next(W - left)];
    return (row: number, col: number) => row >= top && row <= bottom && col >= left && col <= right;
  };
  const made = Array.from({ length: 12 }, (_, i) => {
    const inside = box();
    if (i % 4 === 0) return positions(inside);
    if (i % 4 === 1) return positions((row, col) => !inside(row, col));
    return positions(() => next(10) < (i % 4 === 2 ? 5 : 9));
  });
  const first = positions((row, col) => row + col === 0);
  return [...made, first, first.map((free) => !free)];
}

Deno.test("freeTokens() frees the tokens that affect no position outside the mask", () => {
  const counts = { free: 0, kept: 0, unseen: 0 };
  for (const [seed, { latent, schedule, patchify }] of CASES.entries()) {
    for (const grid of schedule) {
      const reach = reached(latent, grid, patchify);
      counts.unseen += reach.filter((positions) => positions.length === 0).length;
      for (const mask of masks(latent, seed)) {
        const expected = reach.map((positions) => positions.every((i) => mask[i]));
        const where = `${grid} of ${latent}, patchify ${patchify}, mask ${mask.map(Number)}`;
        assertEquals(freeTokens(mask, latent, grid, patchify), expected, where);
        for (const free of expected) counts[free ? "free" : "kept"]++;
      }
    }
  }
  // scales larger than the latent have tokens that affect nothing
  for (const [what, count] of Object.entries(counts)) assert(count > 100, `${what}: ${count}`);
});

Deno.test("freeTokens() is right for grids of any size", () => {
  const next = random(7);
  let mixed = 0;
  for (let round = 0; round < 300; round++) {
    const latent: Grid = [1 + next(12), 1 + next(12)];
    const grid: Grid = [1 + next(12), 1 + next(12)];
    const patchify = next(2) === 1;
    const [row, col] = [next(latent[0]), next(latent[1])];
    const mask = Array.from(
      { length: latent[0] * latent[1] },
      (_, i) => Math.floor(i / latent[1]) >= row || i % latent[1] >= col,
    );
    const expected = reached(latent, grid, patchify)
      .map((positions) => positions.every((i) => mask[i]));
    assertEquals(freeTokens(mask, latent, grid, patchify), expected, `${grid} of ${latent}`);
    if (new Set(expected).size === 2) mixed++;
  }
  assert(mixed > 100, `${mixed}`);
});

Deno.test("freeTokens() keeps the sum of the codes outside the mask", () => {
  const d = 2;
  let changed = 0, kept = 0;
  for (const [seed, { latent, schedule, patchify }] of CASES.entries()) {
    const next = random(100 + seed);
    const D = patchify ? 4 * d : d;
    const code = () => next(2) ? 1 : -1;
    for (const mask of masks(latent, seed)) {
      const before = new Float64Array(latent[0] * latent[1] * d), after = before.slice();
      for (const grid of schedule) {
        const codes = image([1, ...grid, D], code);
        const free = freeTokens(mask, latent, grid, patchify);
        const sampled = {
          ...codes,
          data: codes.data.map((value, i) => free[Math.floor(i / D)] ? code() : value),
        };
        spread(codes, latent, patchify).data.forEach((value, i) => before[i]! += value);
        spread(sampled, latent, patchify).data.forEach((value, i) => after[i]! += value);
      }
      for (const [i, value] of after.entries()) {
        const difference = Math.abs(value - before[i]!);
        if (mask[Math.floor(i / d)]) {
          if (difference > 0.1) changed++;
          continue;
        }
        kept++;
        assert(difference < 1e-9, `position ${Math.floor(i / d)} of ${latent}: ${difference}`);
      }
    }
  }
  assert(changed > 1000 && kept > 1000, `${changed} ${kept}`);
});

Deno.test("freeTokens() frees all tokens for a full mask, and for an empty one those without effect", () => {
  for (const { latent, schedule, patchify } of CASES) {
    const mask = (free: boolean) => new Array(latent[0] * latent[1]).fill(free);
    for (const grid of schedule) {
      const tokens = freeTokens(mask(true), latent, grid, patchify);
      assertEquals(tokens, new Array(grid[0] * grid[1]).fill(true));
      const none = reached(latent, grid, patchify).map((positions) => positions.length === 0);
      assertEquals(freeTokens(mask(false), latent, grid, patchify), none);
      // at most as fine as the positions, every token affects one
      const p = patchify ? 2 : 1;
      if (grid.every((cells, i) => cells * p <= latent[i]!)) assert(!none.includes(true));
    }
  }
});
