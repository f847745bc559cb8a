/** Checks of arguments, for callers without a type checker. */

import { InputError } from "../../../../engine/mod.ts";
import { describe, isRecord, isWhole } from "../../../config/check_value.ts";
import type { Size } from "./source.ts";

/** What an option must be, and whether a value is that. */
interface Rule {
  readonly need: string;
  readonly is: (value: unknown) => boolean;
}

/** A whole number that is not below `least`. */
export function atLeast(least: number, most: number = Number.MAX_SAFE_INTEGER): Rule {
  const need = most === Number.MAX_SAFE_INTEGER
    ? `a whole number, ${least} or more`
    : `a whole number from ${least} to ${most}`;
  return { need, is: (value) => isWhole(value, least, most) };
}

/** A share or a probability. */
export const SHARE: Rule = {
  need: "a number from 0 to 1",
  is: (value) => typeof value === "number" && value >= 0 && value <= 1,
};
/** A seed. */
export const SEED: Rule = {
  need: "a bigint from 0 to 2^64 - 1",
  is: (value) => typeof value === "bigint" && value >= 0n && value < 2n ** 64n,
};
/** True or false. */
export const FLAG: Rule = {
  need: "true or false",
  is: (value) => typeof value === "boolean",
};
/** A function. */
export const FUNCTION: Rule = {
  need: "a function",
  is: (value) => typeof value === "function",
};
/** Sizes of images: one or more. */
export const SIZES: Rule = {
  need: "a list of { width, height } in pixels",
  is: (value) => Array.isArray(value) && value.length > 0 && value.every(isSize),
};

/** One of a few words. */
export function oneOf(...words: readonly string[]): Rule {
  const need = words.map((word) => `"${word}"`).join(" or ");
  return { need, is: (value) => words.includes(value as string) };
}

/** The most pixels of a side. */
const MOST_PIXELS = 2 ** 14;

function isSize(value: unknown): value is Size {
  return isRecord(value) && isWhole(value.width, 1, MOST_PIXELS) &&
    isWhole(value.height, 1, MOST_PIXELS);
}

/**
 * Checks options by their rules; those that are absent pass.
 *
 * @throws {InputError} `bad-value`: the message names the option, its value and what it must be.
 */
export function checkOptions(
  options: object,
  rules: Readonly<Record<string, Rule>>,
): void {
  for (const [name, { need, is }] of Object.entries(rules)) {
    const value = (options as Record<string, unknown>)[name];
    if (value === undefined || is(value)) continue;
    const message = `Cannot open training data: ${name} is ${describe(value)}, it must be ${need}`;
    throw new InputError("bad-value", message);
  }
}

/**
 * Checks what a batch is asked for with.
 *
 * @throws {InputError} `bad-value`.
 */
export function checkBatch(step: number, size: number): void {
  if (isWhole(step, 0, 2 ** 32 - 1) && isWhole(size, 1, 2 ** 20)) return;
  throw new InputError(
    "bad-value",
    `Cannot make a batch of ${describe(size)} images for step ${
      describe(step)
    }: the size must be ` +
      "a whole number above 0, and steps are counted from 0",
  );
}
