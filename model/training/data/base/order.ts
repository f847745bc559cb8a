/** Which images a step has: each once in an epoch, in an order that a seed decides, without a list of that order. */

import { philox } from "../../../bits/philox.ts";
import { STREAMS } from "./draws.ts";

/** Marks counters as those of an order, see {@link Draws}. */
const MARK = 0xda7a0000 + STREAMS.order;
/** Rounds of the Feistel network; four make it as good as random. */
const ROUNDS = 4;

/**
 * Returns where `index` goes when `count` things are shuffled: a permutation of 0 to count − 1 that depends on seed,
 * epoch and group alone. It is a Feistel network of Philox words over a power of four, applied again while it leaves the
 * range.
 *
 * @param count From 1 to 2^31.
 */
export function shuffledIndex(
  index: number,
  count: number,
  seed: bigint,
  epoch: number,
  group: number,
): number {
  const half = Math.max(2, Math.ceil(Math.log2(count) / 2));
  const mask = 2 ** half - 1;
  do {
    let [left, right] = [index >>> half, index & mask];
    for (let round = 0; round < ROUNDS; round++) {
      const [word] = philox([right, epoch, group * ROUNDS + round, MARK], seed);
      [left, right] = [right, left ^ (word & mask)];
    }
    index = left * 2 ** half + right;
  } while (index >= count);
  return index;
}

/** The images of a step. */
export interface Choice {
  /** Which group: all images of a batch are of one, and have its size. */
  readonly group: number;
  /** Places in the group, as many as the batch has images. */
  readonly places: readonly number[];
}

/**
 * Chooses images. As in the official code (`set_h_div_w_template2generator` in
 * infinity/dataset/dataset_t2i_iterable.py), an epoch has as many batches of each group as it has images for, one at
 * least, in random order. What does not fill a batch is left out; it is other images in each epoch.
 *
 * @param counts Images in each group, not all 0.
 * @param step Counted from 0.
 * @param size Images in a batch.
 */
export function chooseImages(
  counts: readonly number[],
  seed: bigint,
  step: number,
  size: number,
): Choice {
  const batches = counts.map((count) => count && Math.max(1, Math.floor(count / size)));
  const total = batches.reduce((sum, n) => sum + n, 0);
  const epoch = Math.floor(step / total);
  // groups are counted from 1 here: 0 is the order of batches
  let batch = shuffledIndex(step % total, total, seed, epoch, 0);
  let group = 0;
  while (batch >= batches[group]!) batch -= batches[group++]!;
  const count = counts[group]!;
  const places = Array.from({ length: size }, (_, i) => {
    const at = batch * size + i;
    // a group that is smaller than a batch comes several times, in other orders
    const round = Math.floor(at / count);
    return shuffledIndex(at % count, count, seed, epoch, 1 + group + counts.length * round);
  });
  return { group, places };
}
