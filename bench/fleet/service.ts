import { InputError } from "../../engine/mod.ts";
import lavapipe from "../results/lavapipe.json" with { type: "json" };

/** A batch whose time is known: number of images, and seconds. */
export type Point = readonly [images: number, seconds: number];

/** What a worker makes images with, and how long that takes. */
export interface Card {
  /** What is simulated. */
  readonly title: string;
  /** Where the times come from, and what of them was not measured. */
  readonly source: string;
  /** Batches whose times are known, the smallest first; the first is one image. */
  readonly points: readonly Point[];
  /** Bytes of a file that it makes, about. */
  readonly bytes: number;
  /** Dollars that a worker costs in an hour: an assumption, to be replaced by your own. */
  readonly price: number;
}

const nano = lavapipe.growth.rows.filter(({ axis }) => axis === "batch");

/** By name. */
export const CARDS = {
  "2b-h200": {
    title: "2B, 1024x1024, f16, one H200 through Dawn",
    source: "docs/performance.md: one image measured, with kernels that were replaced since. " +
      "Batches were not measured; they are taken to gain nothing",
    points: [[1, 6.8]],
    bytes: 1_500_000,
    price: 3.5,
  },
  "2b-h200-target": {
    title: "2B, 1024x1024, f16, one H200 through Dawn, as it is meant to be",
    source: "docs/performance.md: the sum of kernels that were measured one by one, 0.62 s, and " +
      "the target that four images take 3.2 times as long as one. Nothing of it was measured whole",
    points: [[1, 0.62], [4, 3.2 * 0.62]],
    bytes: 1_500_000,
    price: 3.5,
  },
  "nano-cpu": {
    title: "emoji-nano, 32x32, f32, two cores with software Vulkan",
    source: "bench/results/lavapipe.json: batches of 1, 2, 4, 8 and 16 measured",
    points: nano.map(({ size, measured }): Point => [size, measured!.wall / 1000]),
    bytes: 2000,
    price: 0.1,
  },
} as const satisfies Record<string, Card>;

/**
 * Seconds of a batch: on the straight line through its neighbours, or through the last two points beyond them. If one
 * image alone is known, a batch takes as long as its images one after another.
 */
export function secondsOf({ points }: Pick<Card, "points">, images: number): number {
  const exact = points.find(([size]) => size === images);
  if (exact) return exact[1];
  if (points.length < 2) return images * points[0]![1];
  const above = points.findIndex(([size]) => size > images);
  const [[x0, y0], [x1, y1]] = above > 0
    ? [points[above - 1]!, points[above]!]
    : [points.at(-2)!, points.at(-1)!];
  return y0 + (y1 - y0) * (images - x0) / (x1 - x0);
}

/** The card of a name. @throws {InputError} There is none. */
export function findCard(name: string): Card {
  if (Object.hasOwn(CARDS, name)) return CARDS[name as keyof typeof CARDS];
  const names = Object.keys(CARDS).join(", ");
  throw new InputError("unknown-card", `Cannot simulate "${name}": it must be one of ${names}`);
}
