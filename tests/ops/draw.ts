import type { TensorDType } from "../../engine/mod.ts";
import { random } from "../random.ts";

/** Cases, one after the other, that share the choices which a pipeline is compiled for. */
const PIPELINE = 20;

/** Random sizes, choices and numbers of a case: the same for the same seed. */
export class Draw {
  /** The next number in [0, 1). */
  readonly next: () => number;
  #set: number;
  #shared: () => number;
  #options = 0;

  constructor(seed: number) {
    this.next = random(seed);
    this.#set = Math.floor(seed / PIPELINE);
    this.#shared = random(this.#set ^ 0x5eed);
  }

  /**
   * One of a list, the same for {@link PIPELINE} cases: what a pipeline is compiled for, which may take seconds. The
   * first option of a case goes through all of its list.
   */
  option<const T>(list: readonly T[]): T {
    if (this.#options++ === 0) return list[this.#set % list.length]!;
    return list[Math.floor(this.#shared() * list.length)]!;
  }

  /** A size, made a multiple of 4 if that is an {@link option}. */
  width(size: number, vectors: boolean): number {
    return vectors ? 4 * Math.ceil(size / 4) : size;
  }

  /** A whole number, both bounds included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** One of a list. */
  of<const T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }

  /** True this often. */
  odds(share: number): boolean {
    return this.next() < share;
  }

  /** A size up to `most`: often 1, or a multiple of `tile` give or take 1; otherwise small ones as often as large. */
  size(most: number, tile: number = 8): number {
    if (this.odds(0.1)) return 1;
    if (this.odds(0.4) && most > tile) {
      const near = tile * this.int(1, Math.floor(most / tile)) + this.int(-1, 1);
      return Math.min(most, Math.max(1, near));
    }
    return Math.floor(most ** this.next());
  }

  /** A multiple of `by`, up to `most`. */
  multiple(by: number, most: number): number {
    return by * this.size(Math.floor(most / by), 4);
  }

  /**
   * Numbers in [−1, 1) times `scale`, as `dtype` stores them. Few are all positive, so that a reference is not the
   * small difference of large terms. Now and then some are zeros or subnormal: adapters may take the latter for zeros,
   * which no error in proportion to all shows.
   */
  values(count: number, dtype: TensorDType = "f32", scale: number = 1): Float64Array {
    const round = dtype === "f16" ? Math.f16round : Math.fround;
    const tiny = this.odds(0.1) ? (dtype === "f16" ? 3e-7 : 1e-40) : 0;
    const some = this.odds(0.2) ? 0.2 : 0;
    const least = count < FEW ? 0.1 : -1;
    return Float64Array.from({ length: count }, () => {
      const value = least + this.next() * (1 - least);
      return round(some && count >= FEW && this.odds(some) ? value * tiny : value * scale);
    });
  }

  /** Factors of sums: without signs where there are few sums, so that none is small for its terms. */
  factors(x: Float64Array, sums: number): Float64Array {
    return sums < FEW ? x.map(Math.abs) : x;
  }

  /** Bits. */
  bits(count: number): Uint32Array<ArrayBuffer> {
    return Uint32Array.from({ length: count }, () => this.int(0, 1));
  }
}

/** Fewer numbers are all positive. */
const FEW = 32;
