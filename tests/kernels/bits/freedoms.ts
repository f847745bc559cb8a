/**
 * What an adapter may be doing when a sum of resized codes is not what it should be. WGSL lets it fuse products and
 * sums; nothing lets it do the rest, and the kernels do not ask for it.
 *
 * @module
 */

/** Ways to compute the same in f32. */
interface Arithmetic {
  /** What every operation rounds with. */
  readonly round: (v: number) => number;
  /** How much of the cell above a position counts; the position is `below` plus `rest` / `size` cells. */
  readonly weight: (below: number, rest: number, size: number) => number;
  /** low · (1 − weight) + high · weight. */
  readonly blend: (low: number, high: number, weight: number) => number;
}

const f = Math.fround;
/** Rounds towards zero. */
const cut = (v: number) => {
  const near = f(v);
  if (Math.abs(near) <= Math.abs(v)) return near;
  const words = new Int32Array(Float32Array.of(near).buffer);
  words[0]!--;
  return new Float32Array(words.buffer)[0]!;
};

/** In float64: what is right. */
export const EXACT: Arithmetic = {
  round: (v) => v,
  weight: (_, rest, size) => rest / size,
  blend: (low, high, w) => (1 - w) * low + w * high,
};

const AS_WRITTEN: Arithmetic = {
  round: f,
  weight: (_, rest, size) => f(rest * f(1 / size)),
  blend: (low, high, w) => f(f(f(1 - w) * low) + w * high), // one fma
};

/** By name, the likeliest first. */
export const EXPLANATIONS: Readonly<Record<string, Arithmetic>> = {
  "as written": AS_WRITTEN,
  "products and sums not fused": {
    ...AS_WRITTEN,
    blend: (low, high, w) => f(f(f(1 - w) * low) + f(w * high)),
  },
  "weights divided inexactly": {
    ...AS_WRITTEN,
    weight: (_, rest, size) => f(rest / size * (1 + 2.5 * 2 ** -23)),
  },
  "positions rounded to f32": {
    ...AS_WRITTEN,
    weight: (below, rest, size) => f(f(below + rest / size) - below),
  },
  "positions divided inexactly": {
    ...AS_WRITTEN,
    weight: (below, rest, size) => f(f((below + rest / size) * (1 + 2.5 * 2 ** -23)) - below),
  },
  "rounded towards zero": {
    round: cut,
    weight: (_, rest, size) => cut(rest * cut(1 / size)),
    blend: (low, high, w) => cut(cut(cut(1 - w) * low) + w * high),
  },
  "weights of 8 bits, as of texture units": {
    ...AS_WRITTEN,
    weight: (_, rest, size) => Math.round(rest / size * 256) / 256,
  },
};

/** The bits of a scale: ±1 at a row, a column and a channel of a grid. */
export interface Codes {
  readonly height: number;
  readonly width: number;
  readonly at: (row: number, column: number, channel: number) => number;
}

/** The sum of codes ±`value` of all scales, resized to H × W with `channels` channels, as `how` computes it. */
export function sumOfCodes(
  scales: readonly Codes[],
  [H, W, channels]: readonly [number, number, number],
  value: number,
  { round, weight, blend }: Arithmetic,
): Float64Array {
  const sum = new Float64Array(H * W * channels);
  const taps = (i: number, cells: number, size: number) => {
    const position = Math.max((2 * i + 1) * cells, size) - size;
    const below = Math.floor(position / (2 * size));
    const low = Math.min(below, cells - 1);
    const w = weight(below, position - below * 2 * size, 2 * size);
    return { low, high: Math.min(low + 1, cells - 1), w };
  };
  for (const { height, width, at } of scales) {
    for (let i = 0; i < sum.length; i++) {
      const c = i % channels, cell = Math.floor(i / channels);
      const v = taps(Math.floor(cell / W), height, H), h = taps(cell % W, width, W);
      const code = (r: number, q: number) => round(value) * at(r, q, c);
      const row = (r: number) => blend(code(r, h.low), code(r, h.high), h.w);
      sum[i] = round(sum[i]! + blend(row(v.low), row(v.high), v.w));
    }
  }
  return sum;
}

/** How far each explanation is from what was computed, in ‖·‖ / ‖exact‖, the nearest first. */
export function explained(
  actual: ArrayLike<number>,
  scales: readonly Codes[],
  shape: readonly [number, number, number],
  value: number,
): { name: string; distance: number }[] {
  return Object.entries(EXPLANATIONS).map(([name, how]) => {
    const sum = sumOfCodes(scales, shape, value, how);
    let error = 0, norm = 0;
    sum.forEach((v, i) => {
      error += (actual[i]! - v) ** 2;
      norm += v * v;
    });
    return { name, distance: Math.sqrt(error / norm) };
  }).sort((a, b) => a.distance - b.distance);
}
