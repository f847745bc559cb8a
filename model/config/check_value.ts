/**
 * Checks values at run time, for callers without a type checker.
 *
 * @module
 */

import { isObject, quote } from "../../engine/mod.ts";
import type { Grid } from "./grid.ts";

/** A value in a message, in a few words. */
export function describe(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "bigint") return value < 1e21 && value > -1e21 ? `${value}n` : "a bigint";
  if (Array.isArray(value)) {
    return value.length <= 8 ? `[${value.map(describe).join(", ")}]` : "a long list";
  }
  if (typeof value === "function") return "a function";
  if (!isObject(value)) return String(value);
  const name = value.constructor?.name || "Object";
  return `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}`;
}

/** Whether a value can hold values by name: no list, bytes or date. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** Whether a value is a whole number in a range. */
export function isWhole(
  value: unknown,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): value is number {
  return Number.isSafeInteger(value) && value as number >= least && value as number <= most;
}

/** Whether a value is [rows, columns], both whole numbers above 0. */
export function isGrid(value: unknown): value is Grid {
  return Array.isArray(value) && value.length === 2 && isWhole(value[0], 1) && isWhole(value[1], 1);
}
