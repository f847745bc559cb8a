import { random } from "../random.ts";

/** Choices of one case: the same seed makes the same ones. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  /** A whole number below `n`; small ones are likelier if `small`. */
  below(n: number, small = false): number {
    const share = small ? this.#next() * this.#next() * this.#next() : this.#next();
    return Math.floor(share * n);
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** As many things as `least`, or a few more. */
  list<T>(least: number, most: number, make: (index: number) => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1, true) }, (_, i) => make(i));
  }

  /** Bytes without meaning. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** The seed of a case (FNV-1a): cases of a reader do not depend on other readers or on when they run. */
export function caseSeed(seed: number, reader: string, index: number): number {
  let hash = 0x811c9dc5;
  for (const char of `${seed} ${reader} ${index}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  }
  // neighbours differ in all bits (the finaliser of MurmurHash3)
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return (hash ^ hash >>> 16) >>> 0;
}
