/**
 * The losses of images and of a discriminator's answers, in float64.
 *
 * @module
 */

import { at, type Image, image } from "../images.ts";

/** Weights of pixels [B, H, W]. */
export function edgeWeights(x: Image, amount: number, gain: number): Float64Array {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const edge = (b: number, row: number, col: number) => {
    let across = 0, down = 0;
    for (let c = 0; c < C; c++) {
      const v = at(x, b, row, col, c);
      if (col + 1 < W) across = Math.max(across, Math.abs(at(x, b, row, col + 1, c) - v));
      if (row + 1 < H) down = Math.max(down, Math.abs(at(x, b, row + 1, col, c) - v));
    }
    return across + down;
  };
  const edges = image([B, H, W, 1], edge);
  return image([B, H, W, 1], (b, row, col) => {
    let strongest = 0;
    for (let r = Math.max(0, row - 2); r <= Math.min(H - 1, row + 2); r++) {
      for (let c = Math.max(0, col - 2); c <= Math.min(W - 1, col + 2); c++) {
        strongest = Math.max(strongest, at(edges, b, r, c, 0));
      }
    }
    return 1 + amount * Math.min(1, gain * strongest);
  }).data;
}

/** What the terms of a reconstruction's loss count. */
export interface Terms {
  readonly l1: number;
  readonly l2: number;
  readonly edges: number;
  readonly pooled: number;
}

/** A term: the elements of which it takes an absolute value or a square, what each counts, and which. */
interface Part {
  readonly of: readonly (readonly [index: number, factor: number])[];
  readonly weight: number;
  readonly squared: boolean;
}

/** All terms of the loss, as linear combinations of errors. */
function parts(shape: readonly number[], weights: ArrayLike<number> | null, how: Terms): Part[] {
  const [B, H, W, C] = shape as [number, number, number, number];
  const index = (b: number, row: number, col: number, c: number) =>
    ((b * H + row) * W + col) * C + c;
  const found: Part[] = [];
  const squares = B * Math.floor(H / 4) * Math.floor(W / 4) * C;
  image([B, H, W, C], (b, row, col, c) => {
    const i = index(b, row, col, c), n = B * H * W * C;
    const weight = how.l1 / n * (weights?.[Math.floor(i / C)] ?? 1);
    found.push({ of: [[i, 1]], weight, squared: false });
    found.push({ of: [[i, 1]], weight: how.l2 / n, squared: true });
    if (col + 1 < W) {
      const weight = how.edges / (B * H * (W - 1) * C);
      found.push({ of: [[index(b, row, col + 1, c), 1], [i, -1]], weight, squared: false });
    }
    if (row + 1 < H) {
      const weight = how.edges / (B * (H - 1) * W * C);
      found.push({ of: [[index(b, row + 1, col, c), 1], [i, -1]], weight, squared: false });
    }
    if (row % 4 === 0 && col % 4 === 0 && row + 4 <= H && col + 4 <= W) {
      const of = Array.from(
        { length: 16 },
        (_, k) => [index(b, row + (k >> 2), col + k % 4, c), 1 / 16] as const,
      );
      found.push({ of, weight: how.pooled / squares, squared: false });
    }
    return 0;
  });
  return found;
}

const value = (e: Float64Array, { of }: Part) =>
  of.reduce((sum, [i, factor]) => sum + factor * e[i]!, 0);

/** The loss of errors e. */
export function reconstructionLoss(
  e: Float64Array,
  shape: readonly number[],
  weights: ArrayLike<number> | null,
  how: Terms,
): number {
  return parts(shape, weights, how).reduce((sum, part) => {
    const v = value(e, part);
    return sum + part.weight * (part.squared ? v * v : Math.abs(v));
  }, 0);
}

/** Its gradient. */
export function reconstructionLossGradient(
  e: Float64Array,
  shape: readonly number[],
  weights: ArrayLike<number> | null,
  how: Terms,
): Float64Array {
  const gradient = new Float64Array(e.length);
  for (const part of parts(shape, weights, how)) {
    const v = value(e, part);
    const slope = part.weight * (part.squared ? 2 * v : Math.sign(v));
    for (const [i, factor] of part.of) gradient[i]! += slope * factor;
  }
  return gradient;
}

/** The loss, the mean absolute error, the mean squared error of y within [−1, 1], the mean differences. */
export function reconstructionStats(
  y: Float64Array,
  x: Float64Array,
  shape: readonly number[],
  weights: ArrayLike<number> | null,
  how: Terms,
): Float64Array {
  const e = y.map((v, i) => v - x[i]!);
  const alone = (terms: Partial<Terms>, errors: Float64Array) =>
    reconstructionLoss(errors, shape, null, { l1: 0, l2: 0, edges: 0, pooled: 0, ...terms });
  const shown = y.map((v, i) => Math.max(-1, Math.min(1, v)) - x[i]!);
  return Float64Array.of(
    reconstructionLoss(e, shape, weights, how),
    alone({ l1: 1 }, e),
    alone({ l2: 1 }, shown),
    alone({ edges: 1 }, e),
  );
}

const LOSS = {
  real: (v: number) => Math.max(0, 1 - v),
  fake: (v: number) => Math.max(0, 1 + v),
  generator: (v: number) => -v,
} as const;

/** The mean hinge loss, and the share of answers that are right. */
export function hingeLoss(x: Float64Array, role: keyof typeof LOSS): Float64Array {
  const right = (v: number) => Number(role === "real" ? v > 0 : v < 0);
  const mean = (f: (v: number) => number) => x.reduce((sum, v) => sum + f(v), 0) / x.length;
  return Float64Array.of(mean(LOSS[role]), mean(right));
}

/** Its gradient. */
export function hingeLossGradient(x: Float64Array, role: keyof typeof LOSS): Float64Array {
  const slope = {
    real: (v: number) => v < 1 ? -1 : 0,
    fake: (v: number) => v > -1 ? 1 : 0,
    generator: () => -1,
  }[role];
  return x.map((v) => slope(v) / x.length);
}
