import { philox } from "../../../bits/philox.ts";

/** Independent sequences of random numbers with one seed. */
export const STREAMS = {
  scenes: 1,
  order: 2,
  captions: 3,
  measured: 4,
  conditions: 5,
  scales: 6,
  drawn: 7,
} as const;

/** A sequence of random numbers that depends on a seed and three whole numbers alone (Philox4x32-10). */
export class Draws {
  #words: readonly number[] = [];
  #used = 4;
  #block = 0;

  /**
   * Begins a sequence.
   *
   * @param seed 64 bits.
   * @param stream Which sequence; one of {@link STREAMS}.
   * @param step Below 2^32, such as the step of training.
   * @param index Below 2^32, such as the place in a batch.
   */
  constructor(
    private readonly seed: bigint,
    private readonly stream: number,
    private readonly step: number,
    private readonly index: number,
  ) {}

  /** A number in [0, 1). */
  next(): number {
    if (this.#used === 4) {
      // the highest bits tell streams of data from what images are sampled with, whose seeds may be the same
      const stream = 0xda7a0000 + this.stream;
      this.#words = philox([this.#block++, this.index, this.step, stream], this.seed);
      this.#used = 0;
    }
    return this.#words[this.#used++]! / 2 ** 32;
  }

  /** A number in [least, most). */
  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  /** A whole number from 0 to `count` − 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** True this often. */
  odds(share: number): boolean {
    return this.next() < share;
  }

  /** One of a list that is not empty. */
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** Draws whole numbers in proportion to weights. */
export class Lottery {
  readonly #sums: Float64Array;

  /**
   * Takes the weights.
   *
   * @param weights Of each number from 0 on: 0 or more, not all 0.
   */
  constructor(weights: ArrayLike<number>) {
    let sum = 0;
    this.#sums = Float64Array.from(weights, (weight) => sum += weight);
  }

  /** Whether any number can be drawn. */
  get possible(): boolean {
    return (this.#sums.at(-1) ?? 0) > 0;
  }

  /** A number whose weight is above 0. */
  draw(draws: Draws): number {
    const at = draws.next() * this.#sums.at(-1)!;
    let [low, high] = [0, this.#sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sums[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
