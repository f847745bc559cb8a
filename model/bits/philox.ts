/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) on the CPU, with the same numbers
 * as kernels/shared/philox.wgsl.
 *
 * @module
 */

/** High word of a product of two 32-bit words, by halves of `b` so that doubles are exact. */
function multiplyHigh(a: number, b: number): number {
  return Math.floor((a * (b >>> 16) + Math.floor(a * (b & 0xffff) / 65536)) / 65536);
}

/** Returns four random words for a counter of four words and a 64-bit key. */
export function philox(
  [x0, x1, x2, x3]: readonly [number, number, number, number],
  key: bigint,
): [number, number, number, number] {
  let k0 = Number(key & 0xffffffffn);
  let k1 = Number(key >> 32n & 0xffffffffn);
  for (let round = 0; round < 10; round++) {
    const [p, q] = [multiplyHigh(0xD2511F53, x0), multiplyHigh(0xCD9E8D57, x2)];
    const [low0, low2] = [Math.imul(0xD2511F53, x0), Math.imul(0xCD9E8D57, x2)];
    [x0, x1, x2, x3] = [(q ^ x1 ^ k0) >>> 0, low2 >>> 0, (p ^ x3 ^ k1) >>> 0, low0 >>> 0];
    k0 = k0 + 0x9E3779B9 >>> 0;
    k1 = k1 + 0xBB67AE85 >>> 0;
  }
  return [x0, x1, x2, x3];
}

/** Sorts the items by a random number that depends on seed, stream and item alone. */
export function shuffled(items: readonly number[], seed: bigint, stream: number): number[] {
  const random = new Map(items.map((item) => [item, philox([1, stream, item, 0], seed)[0]]));
  return items.toSorted((a, b) => random.get(a)! - random.get(b)! || a - b);
}
