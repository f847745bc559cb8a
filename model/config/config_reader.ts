import { ConfigError } from "../../engine/mod.ts";

/** What a number may be. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
  /** What it must exceed. */
  readonly above?: number;
  /** Any number; whole ones only, if absent. */
  readonly real?: boolean;
}

/** One line of text per value, cut to a readable length. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/**
 * Reads an object of a parsed JSON file. Absent keys (and `null`) take their default, unknown keys
 * are ignored, and a value of a wrong type or out of range is refused with its path.
 */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #path: string;

  /**
   * @param json What `JSON.parse` returned; absent is as good as empty.
   * @param where What error messages call the file.
   * @param path The key of the object in the file; empty at the root.
   */
  constructor(json: unknown, where: string, path = "") {
    this.#where = where;
    this.#path = path;
    if (json === undefined || json === null) json = {};
    if (typeof json !== "object" || Array.isArray(json)) {
      throw new ConfigError(
        "wrong-type",
        `Cannot use ${where}: ${path || "it"} is ${show(json)}, it must be an object`,
      );
    }
    this.#values = json as Record<string, unknown>;
  }

  /** Whether the key is there and not `null`. */
  has(key: string): boolean {
    return Object.hasOwn(this.#values, key) && this.#values[key] !== null;
  }

  /** The value as it stands; `undefined` if absent. */
  raw(key: string): unknown {
    return this.has(key) ? this.#values[key] : undefined;
  }

  /** The path of a key, as messages give it. */
  name(key: string): string {
    return this.#path ? `${this.#path}.${key}` : key;
  }

  /** @throws {ConfigError} always: says which key, its value, and what is allowed. */
  refuse(key: string, value: unknown, need: string, code = "bad-value"): never {
    throw new ConfigError(
      code,
      `Cannot use ${this.#where}: ${this.name(key)} is ${show(value)}, it must be ${need}`,
    );
  }

  object(key: string): ConfigReader {
    return new ConfigReader(this.raw(key), this.#where, this.name(key));
  }

  number(key: string, absent: number, range: Range = {}): number {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    return isWithin(value, range) ? value : this.refuse(key, value, describe(range));
  }

  /** One number, or a list of them. */
  numbers(key: string, absent: number, range: Range = {}): number | readonly number[] {
    return Array.isArray(this.raw(key))
      ? this.list(key, [], range)
      : this.number(key, absent, range);
  }

  /** A list of at least one number. */
  list(key: string, absent: readonly number[], range: Range = {}): readonly number[] {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    if (Array.isArray(value) && value.length > 0 && value.every((item) => isWithin(item, range))) {
      return value;
    }
    return this.refuse(key, value, `a list, each ${describe(range)}`);
  }

  /** `true`, `false`, or 1 or 0 in their place. */
  flag(key: string, absent: boolean): boolean {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    if (value === true || value === 1) return true;
    if (value === false || value === 0) return false;
    return this.refuse(key, value, "true or false");
  }

  text(key: string, absent: string): string {
    if (!this.has(key)) return absent;
    const value = this.#values[key];
    // deno-lint-ignore no-control-regex -- it goes to terminals: nothing of it may move the cursor
    return typeof value === "string" && /^[^\x00-\x1f\x7f-\x9f]+$/.test(value)
      ? value
      : this.refuse(key, value, "text in quotes, on one line");
  }

  /** Refuses every value of `key` but one: the others are variants that are not implemented. */
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
  if (above !== undefined) return `${kind} above ${above}`;
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`;
  if (min !== undefined) return `${kind} of at least ${min}`;
  return max !== undefined ? `${kind} of at most ${max}` : kind;
}
