/**
 * Values that no type checker would let through, and the ways to put them in place of good ones.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { BitwiseError } from "../engine/mod.ts";

/** A value, and what to call it. */
export type Named = readonly [name: string, value: unknown];

/** What callers without a type checker pass. */
export const HOSTILE: readonly Named[] = [
  ["undefined", undefined],
  ["null", null],
  ["NaN", NaN],
  ["-1", -1],
  ["-0.5", -0.5],
  ["1.5", 1.5],
  ["Infinity", Infinity],
  ["2^53", 2 ** 53],
  ["1e300", 1e300],
  ["-7n", -7n],
  ["2n^70", 2n ** 70n],
  ["''", ""],
  ["'7'", "7"],
  ["'x'", "x"],
  ["true", true],
  ["a symbol", Symbol("hostile")],
  ["a function", () => 7],
  ["[]", []],
  ["[null]", [null]],
  ["[NaN]", [NaN]],
  ["['x']", ["x"]],
  ["a hole", [, 1]],
  ["{}", {}],
  ["no prototype", Object.create(null)],
  ["a length", { length: 3 }],
  ["a bad toString", { toString: () => ({}), valueOf: () => ({}) }],
  ["a date", new Date(NaN)],
  ["a buffer", new ArrayBuffer(8)],
  ["no bytes", new Uint8Array()],
  ["bytes", Uint8Array.of(7, 7, 7)],
  ["NaN floats", new Float32Array(3).fill(NaN)],
  ["bigints", new BigInt64Array(3)],
];

/** A list of arguments with one value in it, at any depth, replaced. */
export interface Mutant {
  /** Where: `1.scales.0`. */
  readonly path: string;
  /** What is there now. */
  readonly name: string;
  readonly args: readonly unknown[];
}

/** Every list of arguments in which one value of `args` is hostile, or a typed array has another length or content. */
export function* mutants(args: readonly unknown[]): Generator<Mutant, void, void> {
  for (const [path, replace, value] of places(args)) {
    for (const [name, hostile] of [...HOSTILE, ...arraysLike(value)]) {
      yield { path, name, args: replace(hostile) as unknown[] };
    }
  }
}

type Place = readonly [path: string, replace: (by: unknown) => unknown, value: unknown];

/** The places in a value below its root: of a list only the first and the last, of objects those without methods. */
function* places(value: unknown, depth = 0): Generator<Place, void, void> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || depth > 4) return;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return;
  const keys = Object.keys(value);
  for (const key of Array.isArray(value) && depth > 0 ? new Set([keys[0], keys.at(-1)]) : keys) {
    if (key === undefined) continue;
    const inner = (value as Record<string, unknown>)[key];
    const replace = (by: unknown) => {
      const copy = Array.isArray(value) ? [...value] : { ...value };
      (copy as Record<string, unknown>)[key] = by;
      return copy;
    };
    yield [key, replace, inner];
    for (const [path, change, deep] of places(inner, depth + 1)) {
      yield [`${key}.${path}`, (by) => replace(change(by)), deep];
    }
  }
}

/** Arrays of the same type with another length, and bytes with other values than bits. */
function arraysLike(value: unknown): Named[] {
  if (!(value instanceof Uint8Array || value instanceof Float32Array)) return [];
  const longer = new (value.constructor as Uint8ArrayConstructor)(value.length + 1);
  return [["shorter", value.slice(1)], ["longer", longer]];
}

/** A function of the API with good arguments, and which hostile ones are as good. */
export interface Hostile {
  readonly name: string;
  call(...args: never[]): unknown;
  readonly args: readonly unknown[];
  /** Lines `path: names` of what must be taken; a path ends in * for all below it, and a name may be `any`. */
  readonly takes?: readonly string[];
  /** Whether the arguments are wrong from the beginning. */
  readonly fails?: boolean;
}

/** Runs a call; returns what it threw or rejected with, null if it succeeded. */
async function outcome({ call }: Hostile, args: readonly unknown[]): Promise<unknown> {
  try {
    await call(...args as never[]);
    return null;
  } catch (error) {
    return error ?? "nothing";
  }
}

function verdict({ takes = [] }: Hostile, path: string, name: string): "yes" | "no" | "either" {
  for (const line of takes) {
    const [where, names] = line.split(": ") as [string, string];
    if (!(where.endsWith("*") ? path.startsWith(where.slice(0, -1)) : path === where)) continue;
    if (names === "any") return "either";
    if (names.split(", ").includes(name)) return "yes";
  }
  return "no";
}

/** Tests that each function takes its good arguments, and meets all others with one typed line. */
export function testHostile(cases: readonly Hostile[]): void {
  for (const one of cases) {
    Deno.test(`${one.name}() takes good values, and meets any other with one typed line`, async () => {
      if (!one.fails) assertEquals(await outcome(one, one.args), null);
      const wrong: string[] = [];
      for (const { path, name, args } of mutants(one.args)) {
        const error = await outcome(one, args);
        const at = `${path} = ${name}`;
        const takes = verdict(one, path, name);
        if (error === null) {
          if (takes === "no") wrong.push(`${at} is taken`);
        } else if (!(error instanceof BitwiseError)) wrong.push(`${at}: ${error}`);
        else if (takes === "yes") wrong.push(`${at} is refused: ${error.message}`);
        else if (/\n|\[object/.test(error.message) || error.message.length > 500) {
          wrong.push(`${at} says ${error.message}`);
        }
      }
      assertEquals(wrong, []);
    });
  }
}
