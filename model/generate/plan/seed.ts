/** The seed that stands for a random one. */
export const RANDOM_SEED = -1n;

/** Chooses a seed of 32 bits, which is short enough to type. */
export function randomSeed(): bigint {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0]!);
}

/** Returns a seed for JSON: a string if it is too large for a number. */
export function jsonSeed(seed: bigint): number | string {
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : `${seed}`;
}
