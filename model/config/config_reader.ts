import { isRecord } from "./check_value.ts";
import { ConfigError, printable } from "../../engine/mod.ts";

/** The range of a number. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
  /** The number must be greater than this. */
  readonly above?: number;
  /** Whether fractions are allowed. */
  readonly real?: boolean;
}

/** Formats any value as one line, cut to a readable length. */
export function show(value: unknown): string {
  const text = textOf(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return "nested too deeply";
  }
}

/** The most characters of a text, and the most numbers in a list. */
const LONGEST = 500;
const MOST = 1000;

/**
 * Reads an object of a parsed JSON file. Absent keys (and `null`) take their default, unknown keys
 * are ignored, and a value of the wrong type or out of range is refused by its path.
 */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #path: string;

  /**
   * @param json What `JSON.parse` returned; `undefined` and `null` count as an empty object.
   * @param where What error messages call the file.
   * @param path The key of the object in the file; empty at the root.
   */
  constructor(json: unknown, where: string, path = "") {
    this.#where = where;
    this.#path = path;
    if (json === undefined || json === null) json = {};
    if (!isRecord(json)) {
      throw new ConfigError(
        "wrong-type",
        `Cannot use ${where}: ${path || "it"} is ${show(json)}, it must be an object`,
      );
    }
    this.#values = json as Record<string, unknown>;
  }

  /** Whether the key is present and not `null`. */
  has(key: string): boolean {
    return Object.hasOwn(this.#values, key) && this.#values[key] !== null;
  }

  /** Returns the value unchecked; `undefined` if absent. */
  raw(key: string): unknown {
    return this.has(key) ? this.#values[key] : undefined;
  }

  /** Returns the path of a key, for messages. */
  name(key: string): string {
    return this.#path ? `${this.#path}.${key}` : key;
  }

  /** @throws {ConfigError} Always: names the key, its value, and what is allowed. */
  refuse(key: string, value: unknown, need: string, code = "bad-value"): never {
    throw new ConfigError(
      code,
      `Cannot use ${this.#where}: ${this.name(key)} is ${show(value)}, it must be ${need}`,
    );
  }

  /** Returns a reader of a nested object, empty if the key is absent. */
  object(key: string): ConfigReader {
    return new ConfigReader(this.raw(key), this.#where, this.name(key));
  }

  /** Returns a number; `absent` if the key is absent. */
  number(key: string, absent: number, range: Range = {}): number {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    return isWithin(value, range) ? value : this.refuse(key, value, describe(range));
  }

  /** Returns one number or a list of numbers. */
  numbers(key: string, absent: number, range: Range = {}): number | readonly number[] {
    return Array.isArray(this.raw(key))
      ? this.list(key, [], range)
      : this.number(key, absent, range);
  }

  /** Returns a list of at least one number. */
  list(key: string, absent: readonly number[], range: Range = {}): readonly number[] {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    const isList = Array.isArray(value) && value.length > 0;
    if (isList && value.length > MOST) this.refuse(key, value, `a list of at most ${MOST} numbers`);
    if (isList && value.every((item) => isWithin(item, range))) return value;
    return this.refuse(key, value, `a list, each ${describe(range)}`);
  }

  /** Returns a boolean; 1 and 0 are accepted as well. */
  flag(key: string, absent: boolean): boolean {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    if (value === true || value === 1) return true;
    if (value === false || value === 0) return false;
    return this.refuse(key, value, "true or false");
  }

  /** Returns one line of text without control characters. */
  text(key: string, absent: string): string {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    // it is printed on terminals, where it must not move the cursor
    const isLine = typeof value === "string" && value !== "" && printable(value) === value;
    if (!isLine) return this.refuse(key, value, "text in quotes, on one line");
    if (value.length <= LONGEST) return value;
    return this.refuse(key, value, `text of at most ${LONGEST} characters`);
  }

  /** Refuses every value of `key` except `value` and `same`: other variants are not implemented. */
  only(key: string, value: unknown, ...same: readonly unknown[]): void {
    const given = this.raw(key);
    if (given === undefined || [value, ...same].includes(given)) return;
    this.refuse(key, given, `${show(value)}: others are not implemented`, "not-implemented");
  }
}

function isWithin(value: unknown, range: Range): value is number {
  const { min = -Infinity, max = Infinity, above = -Infinity, real = false } = range;
  return typeof value === "number" && Number.isFinite(value) &&
    (real || Number.isSafeInteger(value)) && value >= min && value <= max && value > above;
}

function describe({ min, max, above, real }: Range): string {
  const kind = real ? "a number" : "a whole number";
  if (above !== undefined && max !== undefined) return `${kind} above ${above}, at most ${max}`;
  if (above !== undefined) return `${kind} above ${above}`;
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`;
  if (min !== undefined) return `${kind} of at least ${min}`;
  return max !== undefined ? `${kind} of at most ${max}` : kind;
}
