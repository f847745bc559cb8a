/** What a line of prompts may say, and what it means. */

import type { JobSettings } from "../jobs/job.ts";
import { InputError, isObject, quote } from "../../engine/mod.ts";
import { nearest } from "../../model/config/nearest.ts";

/** A line, checked in itself. */
export interface Line {
  /** Its number in the file, from 1. */
  readonly number: number;
  readonly prompt: string;
  readonly id?: string;
  readonly seed?: bigint;
  /** Number of images. */
  readonly n: number;
  readonly settings: Omit<JobSettings, "init" | "mask">;
  /** The paths of an image to edit, and of its mask. */
  readonly init?: string;
  readonly mask?: string;
}

/** The most images of one line. */
const MAX_N = 10_000;
/** The most characters of an id. */
const MAX_ID = 100;

/** A kind of value: what it must be, and the value if it is that. */
interface Kind<T> {
  readonly need: string;
  read(value: unknown): T | undefined;
}

const text: Kind<string> = {
  need: "text",
  read: (value) => typeof value === "string" ? value : undefined,
};
const number: Kind<number> = {
  need: "a number",
  read: (value) => typeof value === "number" ? value : undefined,
};
const numbers: Kind<number | number[]> = {
  need: "a number, or a list of one for each scale",
  read: (value) =>
    typeof value === "number" || (Array.isArray(value) && value.every(Number.isFinite))
      ? value as number | number[]
      : undefined,
};
const flag: Kind<boolean> = {
  need: "true or false",
  read: (value) => typeof value === "boolean" ? value : undefined,
};
const path: Kind<string> = {
  need: "the path of a file",
  read: (value) => text.read(value) || undefined,
};
const id: Kind<string> = {
  need: `1 to ${MAX_ID} letters, digits, - or _`,
  read: (value) =>
    typeof value === "string" && /^[\w-]+$/.test(value) && value.length <= MAX_ID
      ? value
      : undefined,
};
const seed: Kind<bigint> = {
  need: "a whole number from 0 to 2^64 - 1; one above 2^53 in quotes",
  read(value) {
    const digits = Number.isSafeInteger(value) ? `${value}` : value;
    if (typeof digits !== "string" || !/^\d{1,20}$/.test(digits)) return undefined;
    return BigInt(digits) < 2n ** 64n ? BigInt(digits) : undefined;
  },
};
const count: Kind<number> = {
  need: `a whole number from 1 to ${MAX_N}`,
  read: (value) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_N
      ? value as number
      : undefined,
};

/** Fields that are settings, by their names in a line. */
const SETTINGS = {
  negative_prompt: ["negativePrompt", text],
  width: ["width", number],
  height: ["height", number],
  cfg_scale: ["cfgScale", numbers],
  cfg_until: ["cfgUntil", number],
  tau: ["tau", numbers],
  top_k: ["topK", number],
  top_p: ["topP", number],
  greedy: ["greedy", flag],
  strength: ["strength", number],
  keep_scales: ["keepScales", number],
} as const satisfies Record<string, readonly [keyof JobSettings, Kind<unknown>]>;

const OTHERS = { prompt: text, id, seed, n: count, init_img: path, mask: path } as const;

/** What the fields are called elsewhere. */
const ALIASES: Readonly<Record<string, string>> = {
  text: "prompt",
  caption: "prompt",
  cfg: "cfg_scale",
  guidance: "cfg_scale",
  guidance_scale: "cfg_scale",
  temperature: "tau",
  init: "init_img",
  image: "init_img",
  num_images: "n",
  batch_count: "n",
};

/**
 * Reads a line: a JSON object, a string of JSON, or a plain prompt. Fields that are null count as absent.
 *
 * @throws {InputError} `bad-line`: the message says what is wrong, not where.
 */
export function readLine(line: string, number: number): Line {
  const given = parse(line);
  const fields: Record<string, unknown> = typeof given === "string" ? { prompt: given } : given;
  const settings: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === null) continue;
    if (Object.hasOwn(SETTINGS, name)) {
      const [key, kind] = SETTINGS[name as keyof typeof SETTINGS];
      settings[key] = valueOf<unknown>(name, value, kind);
    } else if (Object.hasOwn(OTHERS, name)) {
      others[name] = valueOf<unknown>(name, value, OTHERS[name as keyof typeof OTHERS]);
    } else throw unknownField(name);
  }
  const { prompt = "", n = 1, id, seed, init_img: init, mask } = others as {
    prompt?: string;
    n?: number;
    id?: string;
    seed?: bigint;
    init_img?: string;
    mask?: string;
  };
  if (!prompt.trim()) throw badLine("it has no prompt");
  return { number, prompt, n, id, seed, settings, init, mask };
}

function parse(line: string): string | Record<string, unknown> {
  if (!/^\s*[{["]/.test(line)) return line.trim();
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw badLine(`it is not JSON: ${(error as Error).message.split("\n")[0]}`);
  }
  if (typeof value === "string") return value;
  if (isObject(value) && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badLine("it must be an object or a prompt");
}

function valueOf<T>(name: string, value: unknown, { need, read }: Kind<T>): T {
  const result = read(value);
  if (result !== undefined) return result;
  throw badLine(`${name} is ${quote(JSON.stringify(value))}, it must be ${need}`);
}

function unknownField(name: string): InputError {
  const known = [...Object.keys(OTHERS), ...Object.keys(SETTINGS)];
  const meant = Object.hasOwn(ALIASES, name) ? ALIASES[name] : nearest(name, known);
  const advice = meant ? `did you mean ${meant}?` : `there are ${known.join(", ")}`;
  return badLine(`it has an unknown field ${quote(name)}; ${advice}`);
}

/** The error for a line, whose place others know. */
export function badLine(what: string): InputError {
  return new InputError("bad-line", what);
}
