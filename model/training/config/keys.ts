/**
 * What a key of CONFIG.json may be: each has a default, a check, and a line for the documentation.
 *
 * @module
 */

import { ConfigError, printable } from "../../../engine/mod.ts";
import { isRecord, isWhole } from "../../config/check_value.ts";
import { show } from "../../config/config_reader.ts";
import { nearest } from "../../config/nearest.ts";

/** A key that holds a value. */
export interface Key<T> {
  /** What an absent key stands for. */
  readonly absent: T;
  /** What the value must be, for messages and the documentation. */
  readonly need: string;
  /** What it means, in one line. */
  readonly help: string;
  /** Whether a value of a JSON file is one. */
  is(value: unknown): boolean;
}

/** The keys of an object: values, and objects within. */
export type Table<T> = {
  readonly [K in keyof T]: T[K] extends readonly unknown[] ? Key<T[K]>
    : T[K] extends object ? Table<T[K]>
    : Key<T[K]>;
};

/** From here on, an upper limit is beyond all use and goes unsaid. */
const BOUND = 1e6;

/** A whole number within limits. */
export function whole(absent: number, min: number, max: number, help: string): Key<number> {
  const need = max < BOUND
    ? `a whole number from ${min} to ${max}`
    : `a whole number of at least ${min}`;
  return { absent, need, help, is: (value) => isWhole(value, min, max) };
}

/** A number within limits; `above` excludes the lower one. */
export function real(
  absent: number,
  { min = 0, above, max }: { readonly min?: number; readonly above?: number; readonly max: number },
  help: string,
): Key<number> {
  const from = above === undefined ? `of at least ${min}` : `above ${above}`;
  const need = max >= BOUND
    ? `a number ${from}`
    : above === undefined
    ? `a number from ${min} to ${max}`
    : `a number above ${above}, at most ${max}`;
  const is = (value: unknown) =>
    typeof value === "number" && value <= max &&
    (above === undefined ? value >= min : value > above);
  return { absent, need, help, is };
}

/** A share or probability: from 0 to 1. */
export function share(absent: number, help: string): Key<number> {
  return real(absent, { max: 1 }, help);
}

/** True or false. */
export function flag(absent: boolean, help: string): Key<boolean> {
  return { absent, need: "true or false", help, is: (value) => typeof value === "boolean" };
}

/** One of a few words. */
export function oneOf<const T extends string>(
  absent: T,
  words: readonly T[],
  help: string,
): Key<T> {
  const need = words.map((word) => `"${word}"`).join(" or ");
  return { absent, need, help, is: (value) => words.includes(value as T) };
}

/** The most characters of a text: of a path, a name or a prompt. */
const LONGEST = 1000;

function isLine(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST &&
    printable(value) === value;
}

/** One line of text. */
export function text(absent: string, help: string): Key<string> {
  return { absent, need: "text on one line", help, is: isLine };
}

/** Several lines of text. */
export function texts(
  absent: readonly string[],
  most: number,
  help: string,
): Key<readonly string[]> {
  const is = (value: unknown) =>
    Array.isArray(value) && value.length <= most && value.every(isLine);
  return { absent, need: `a list of at most ${most} texts`, help, is };
}

/** Two numbers of the same kind. */
export function pair(
  absent: readonly [number, number],
  of: Key<number>,
): Key<readonly [number, number]> {
  const is = (value: unknown) => Array.isArray(value) && value.length === 2 && value.every(of.is);
  return { absent, need: `two numbers, each ${of.need}`, help: of.help, is };
}

/** The same key, whose absence has a meaning of its own. */
export function orNone<T>(key: Key<T>): Key<T | null> {
  return { ...key, absent: null };
}

/** The same key with another default. */
export function withDefault<T>(key: Key<T>, absent: T): Key<T> {
  return { ...key, absent };
}

/** Whether an entry of a table is a key; the others are tables. */
export function isKey(entry: unknown): entry is Key<unknown> {
  return typeof (entry as Key<unknown>).is === "function";
}

/** Refuses a value by its path. */
export function refuse(where: string, path: string, value: unknown, need: string): never {
  throw new ConfigError(
    "bad-value",
    `Cannot use ${where}: ${path} is ${show(value)}, it must be ${need}`,
  );
}

/**
 * Reads an object by its table. Absent keys and `null` take their default.
 *
 * @param where What messages call the file.
 * @param path The object's key in the file, with a final dot; empty at the root.
 * @throws {ConfigError} `unknown-key`: the message names the nearest key; `bad-value`: the key, its value, and what is
 * allowed.
 */
export function readTable<T>(json: unknown, table: Table<T>, where: string, path = ""): T {
  if (json === undefined || json === null) json = {};
  if (!isRecord(json)) refuse(where, path.replace(/\.$/, "") || "it", json, "an object");
  const names = Object.keys(table);
  const unknown = Object.keys(json).find((name) => !names.includes(name));
  if (unknown !== undefined) refuseUnknown(unknown, names, where, path);
  const read = (name: string): unknown => {
    const entry = (table as Record<string, unknown>)[name];
    const value = Object.hasOwn(json as object, name)
      ? (json as Record<string, unknown>)[name]
      : undefined;
    if (!isKey(entry)) return readTable(value, entry as Table<unknown>, where, `${path}${name}.`);
    if (value === undefined || value === null) return entry.absent;
    return entry.is(value) ? value : refuse(where, path + name, value, entry.need);
  };
  return Object.fromEntries(names.map((name) => [name, read(name)])) as T;
}

/** Refuses a key that is not among names. @throws {ConfigError} `unknown-key`, with the nearest one. */
export function refuseUnknown(
  name: string,
  names: readonly string[],
  where: string,
  path: string,
): never {
  const near = nearest(name, names);
  const advice = near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`;
  const key = `${path}${show(name).slice(1, -1)}`;
  throw new ConfigError("unknown-key", `Cannot use ${where}: unknown key ${key}: ${advice}`);
}
