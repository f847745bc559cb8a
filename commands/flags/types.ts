/**
 * How the text of a flag becomes its value.
 *
 * @module
 */

import { RANDOM_SEED, randomSeed } from "../../model/generate/plan/seed.ts";

/** How the text of a flag becomes its value. */
export interface FlagType<T> {
  /** What stands for the value in the help; absent for a switch. */
  readonly value?: string;
  /** What the text must be, for messages. */
  readonly need: string;
  /** Returns the value, or `undefined` if the text is not one. */
  read(text: string): T | undefined;
}

/** Any text. */
export const text: FlagType<string> = { value: "TEXT", need: "text", read: (given) => given };

/** The name of a file or folder. */
export const path: FlagType<string> = {
  value: "FILE",
  need: "a file name",
  read: (given) => given || undefined,
};

/** An integer. */
export const integer: FlagType<number> = {
  value: "N",
  need: "a whole number",
  // not -0
  read: (given) => /^-?\d{1,15}$/.test(given) ? Number(given) + 0 : undefined,
};

/** An integer within limits. */
export function integerFrom(least: number, most: number): FlagType<number> {
  return {
    value: "N",
    need: `a whole number from ${least} to ${most}`,
    read(given) {
      const value = integer.read(given);
      return value !== undefined && value >= least && value <= most ? value : undefined;
    },
  };
}

/** A number in decimal digits. */
export const number: FlagType<number> = {
  value: "N",
  need: "a number",
  read(given) {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given) ? Number(given) + 0 : NaN;
    return Number.isFinite(value) ? value : undefined;
  },
};

/** Reads a list with commas between values. */
function listed<T>(given: string, { read }: FlagType<T>): (T | undefined)[] {
  return given.split(",").map((part) => read(part.trim()));
}

/** An integer, or a list of them. */
export const integers: FlagType<number | number[]> = {
  value: "N[,N…]",
  need: "a whole number, or a comma-separated list",
  read(given) {
    const list = listed(given, integer);
    if (list.includes(undefined)) return undefined;
    return list.length === 1 ? list[0] : list as number[];
  },
};

/** A number, or one for each scale. */
export const numbers: FlagType<number | number[]> = {
  value: "N[,N…]",
  need: "a number, or a comma-separated list of one per scale",
  read(given) {
    const list = listed(given, number);
    if (list.includes(undefined)) return undefined;
    return list.length === 1 ? list[0] : list as number[];
  },
};

/** A seed of 64 bits, or −1. */
export const seed: FlagType<bigint> = {
  value: "N",
  need: "a whole number from 0 to 2^64 - 1, or -1 for a random one",
  read: (given) =>
    /^-1$|^\d{1,20}$/.test(given) && BigInt(given) < 2n ** 64n ? BigInt(given) : undefined,
};

/** Returns the seed that {@link seed} stands for: a random one for −1. */
export function chosenSeed(given: bigint | undefined): bigint | undefined {
  return given === RANDOM_SEED ? randomSeed() : given;
}

/** A number of bytes, in decimal units. */
export const bytes: FlagType<number> = {
  value: "SIZE",
  need: "a size, such as 8G or 500M",
  read(given) {
    const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?)([kMGT]?)B?$/i.exec(given) ?? [];
    const power = ["", "k", "m", "g", "t"].indexOf(unit.toLowerCase());
    const size = Number(count) * 1000 ** power;
    return size > 0 && Number.isFinite(size) ? size : undefined;
  },
};

/** A switch: true if it is there. */
export const on: FlagType<boolean> = { need: "true or false", read: (given) => given === "true" };

/** One of a few words. */
export function oneOf<const T extends string>(...words: T[]): FlagType<T> {
  return {
    value: words.join("|"),
    need: words.join(", ").replace(/, ([^,]*)$/, " or $1"),
    read: (given) => words.find((word) => word === given),
  };
}
