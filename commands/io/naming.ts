/**
 * Names of output files: numbered, and free.
 *
 * @module
 */

import { extname } from "../../deps/@std/path.ts";

/** Names such as `cat-%03d.png`. */
const PATTERN = /%0?(\d*)d/;

/** More characters than the name of a file has on any system. */
const MAX_NAME = 256;

/** Returns the number of the first file: `begin`, or else 0 in a pattern, 1 elsewhere. */
export function firstNumber(name: string, begin?: number): number {
  return begin ?? (PATTERN.test(name) ? 0 : 1);
}

/**
 * Names of files by their index: `cat.png`, then `cat-2.png`, … for one; `cat-1.png`, … for several, padded so that
 * they sort; or what a pattern such as `cat-%03d.png` makes.
 */
export function namer(name: string, count: number, begin?: number): (index: number) => string {
  const pattern = PATTERN.exec(name);
  if (pattern) {
    const [text, width] = pattern;
    const numbered = (i: number) =>
      `${i + firstNumber(name, begin)}`.padStart(Math.min(Number(width), MAX_NAME), "0");
    return (i) => name.replace(text, () => numbered(i));
  }
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  if (count === 1 && begin === undefined) {
    return (i) => i === 0 ? name : `${stem}-${i + 1}${extension}`;
  }
  const first = firstNumber(name, begin);
  const width = `${first + count - 1}`.length;
  return (i) => `${stem}-${`${first + i}`.padStart(width, "0")}${extension}`;
}

/** Returns the first index from which `count` names are free; a folder in place of the only one is a mistake. */
export async function firstFree(nameOf: (i: number) => string, count: number): Promise<number> {
  let first = 0;
  for (let i = 0; i < first + count; i++) {
    const info = await Deno.stat(nameOf(i)).catch(() => null);
    if (info && !(info.isDirectory && i === 0 && count === 1)) first = i + 1;
  }
  return first;
}

/** Yields the names from an index on. */
export function* namesFrom(nameOf: (i: number) => string, index: number): Generator<string> {
  for (let i = index;; i++) yield nameOf(i);
}

/** Tells which names were taken, and which are used instead. */
export function movedText(nameOf: (i: number) => string, first: number, count: number): string {
  const range = (from: number) =>
    count === 1 ? nameOf(from) : `${nameOf(from)} to ${nameOf(from + count - 1)}`;
  const what = count === 1 ? `${nameOf(0)} exists` : `Some of ${range(0)} exist`;
  return `${what}: writing ${range(first)} instead (--overwrite replaces)`;
}
