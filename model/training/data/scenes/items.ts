/** What captions.json says about sprites. */

import { FileError, isObject, quote } from "../../../../engine/mod.ts";

/** A name of a sprite without a word of colour. */
export interface Noun {
  /** The word or words for one. */
  readonly text: string;
  /** Those for several. */
  readonly plural: string;
  /** Whether it can follow "a" or "two". */
  readonly countable: boolean;
}

/** One sprite. */
export interface SpriteItem {
  /** Names that no other sprite has, the usual one first. */
  readonly names: readonly string[];
  /** Names that a colour or a number may stand before; may be empty. */
  readonly nouns: readonly Noun[];
  /** Words that describe it, among others. */
  readonly tags: readonly string[];
  /** Whether it shows a person. */
  readonly person: boolean;
  /** Whether it is a face alone. */
  readonly face: boolean;
  /** Whether people often speak of it. */
  readonly common: boolean;
  /** The group that it belongs to. */
  readonly group: string;
}

/** A sheet of sprites. */
export interface SpriteSheet {
  /** Texels across and down of a tile, a multiple of 4. */
  readonly tile: number;
  /** Tiles in a row of the sheet. */
  readonly columns: number;
  /** In the order of tiles, row by row. */
  readonly items: readonly SpriteItem[];
}

/** The most texels across of a tile. */
const MOST_TILE = 1024;

/**
 * Reads captions.json of a folder of sprites.
 *
 * @param text The file's text.
 * @param name The file's name, for messages.
 * @throws {FileError} `bad-captions`: it is not JSON, or a field is missing or of another type.
 */
export function readItems(text: string, name: string): SpriteSheet {
  const refuse = (why: string): never => {
    throw new FileError("bad-captions", `Cannot read ${quote(name)}: ${why}`);
  };
  const json = parseJson(text, name);
  const { tile, columns, items } = isObject(json) ? json : refuse("it is not an object");
  const whole = (value: unknown, most: number): value is number =>
    Number.isInteger(value) && value as number > 0 && value as number <= most;
  if (!whole(tile, MOST_TILE) || tile % 4) {
    return refuse(`tile must be a multiple of 4 up to ${MOST_TILE}`);
  }
  if (!whole(columns, 2 ** 16)) return refuse("columns must be a whole number above 0");
  if (!Array.isArray(items) || items.length === 0) return refuse("items must be a list of sprites");
  return { tile, columns, items: items.map((item, i) => readItem(item, `items[${i}]`, refuse)) };
}

/** Parses JSON. @throws {FileError} `bad-captions`. */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `Cannot read ${quote(name)}: it is not JSON`;
    throw new FileError("bad-captions", message, { cause });
  }
}

function readItem(item: unknown, where: string, refuse: (why: string) => never): SpriteItem {
  if (!isObject(item)) return refuse(`${where} is not an object`);
  const texts = (key: string): string[] => {
    const value = item[key];
    const right = Array.isArray(value) && value.every((each) => typeof each === "string" && each);
    return right ? value : refuse(`${where}.${key} must be a list of texts`);
  };
  const flag = (key: string): boolean => {
    const value = item[key];
    return typeof value === "boolean" ? value : refuse(`${where}.${key} must be true or false`);
  };
  const names = texts("names");
  if (names.length === 0) refuse(`${where}.names is empty`);
  const [nouns, plurals] = [texts("nouns"), texts("plural")];
  const countable = item.countable;
  if (
    plurals.length !== nouns.length || !Array.isArray(countable) ||
    countable.length !== nouns.length
  ) {
    return refuse(`${where}.plural and countable must have an entry for each of nouns`);
  }
  return {
    names,
    nouns: nouns.map((text, i) => ({
      text,
      plural: plurals[i]!,
      countable: countable[i] === true,
    })),
    tags: texts("tags"),
    person: flag("person"),
    face: flag("face"),
    common: flag("common"),
    group: typeof item.sub === "string" ? item.sub : "",
  };
}
