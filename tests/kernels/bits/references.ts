/**
 * What the kernels of this room compute, in float64 or exactly, by the names of their launchers; ../images.ts resizes.
 *
 * @module
 */

import { type Image, resize, shuffle } from "../images.ts";

/** Computes Philox4x32-10 in 64-bit arithmetic. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k, l] = key.map(BigInt) as [bigint, bigint];
  const word = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const p = 0xD2511F53n * a;
    const q = 0xCD9E8D57n * c;
    [a, b, c, d] = [q >> 32n ^ b ^ k, q & word, p >> 32n ^ d ^ l, p & word];
    k = k + 0x9E3779B9n & word;
    l = l + 0xBB67AE85n & word;
  }
  return [a, b, c, d].map(Number);
}

/** A seed's random number in [0, 1) for a bit. */
export function uniformOf(seed: bigint, scale: number, token: number, bit: number): number {
  const words = [Number(seed & 0xffffffffn), Number(seed >> 32n)];
  return (philox([0, scale, token, bit], words)[0]! >>> 8) / 2 ** 24;
}

/** Logit differences after temperature and guidance. */
export function guided(
  x: Float64Array,
  { mixed, cfg, tau }: { mixed: boolean; cfg: number; tau: number },
): Float64Array {
  const count = mixed ? x.length / 2 : x.length;
  return x.slice(0, count).map((v, i) => (mixed ? cfg * v + (1 - cfg) * x[count + i]! : v) / tau);
}

/** The probability of 1 for a difference, after top-k and top-p. */
export function probability(z: number, topK: number, topP: number): number {
  const p = 1 / (1 + Math.exp(-z));
  const cut = topK === 1 ? z !== 0 : topP > 0 && Math.min(p, 1 - p) <= 1 - topP;
  return cut ? Number(p >= 0.5) : p;
}

/** The codes ±1/√dv of tokens [B, h·w, d], resized to H × W. */
export function codes(
  bits: ArrayLike<number>,
  [B, h, w, d]: readonly [number, number, number, number],
  [H, W]: readonly [number, number],
  patchify: boolean,
): Float64Array {
  const size = 1 / Math.sqrt(patchify ? d / 4 : d);
  const tokens: Image = {
    shape: [B, h, w, d],
    data: Float64Array.from(bits, (bit) => (2 * bit - 1) * size),
  };
  return resize("linear", patchify ? shuffle(tokens) : tokens, H, W).data;
}

/** Probabilities of flips [B, S]; `levels` is one more than the largest whole hundredth, or 0 for any number. */
export function strengths(
  [B, S]: readonly [number, number],
  how: { levels: number; most: number; shared: boolean; odds: number },
  { seed, step, image }: { seed: number; step: number; image: number },
): Float64Array {
  return Float64Array.from({ length: B * S }, (_, i) => {
    const number = image + Math.floor(i / S), key = [seed, step];
    const x = philox([number, how.shared ? 0 : i % S, 0xffffffff, 0], key)[0]!;
    const chosen = philox([number, 0, 0xffffffff, 1], key)[0]!;
    if ((chosen >>> 8) / 2 ** 24 >= how.odds) return 0;
    return how.levels ? Math.floor(x * how.levels / 2 ** 32) / 100 : (x >>> 8) / 2 ** 24 * how.most;
  });
}

/** The random number of each bit [B, rows, d] of a scale that decides whether it is flipped. */
export function flipUniforms(
  [B, rows, d]: readonly [number, number, number],
  scale: number,
  { seed, step, image }: { seed: number; step: number; image: number },
): Float64Array {
  return Float64Array.from({ length: B * rows * d }, (_, i) => {
    const token = Math.floor(i / d), k = i % d;
    const counter = [image + Math.floor(token / rows), scale, token % rows, k >> 2];
    return (philox(counter, [seed, step])[k & 3]! >>> 8) / 2 ** 24;
  });
}

/** Rows of `d` on the unit sphere. */
export function unitVectors(x: Float64Array, d: number): Float64Array {
  const lengths = rowSums(x.map((v) => v * v), d).map(Math.sqrt);
  return x.map((v, i) => v / lengths[Math.floor(i / d)]!);
}

/** Its gradient. */
export function unitVectorsBackward(x: Float64Array, dy: Float64Array, d: number): Float64Array {
  const lengths = rowSums(x.map((v) => v * v), d).map(Math.sqrt);
  const n = unitVectors(x, d), along = rowSums(n.map((v, i) => v * dy[i]!), d);
  return dy.map((g, i) => {
    const row = Math.floor(i / d);
    return (g - n[i]! * along[row]!) / lengths[row]!;
  });
}

function rowSums(x: Float64Array, d: number): Float64Array {
  const sums = new Float64Array(x.length / d);
  x.forEach((v, i) => sums[Math.floor(i / d)]! += v);
  return sums;
}
