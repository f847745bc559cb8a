/**
 * Checks the names and types of options at run time, for callers without a type checker, and which exclude each other.
 *
 * @module
 */

import { Device, InputError, isObject } from "../../engine/mod.ts";
import { FREE } from "../../kernels/bits/force_bits.ts";
import { WEIGHT_TYPES } from "../../kernels/linear/weight_types.ts";
import { describe, isRecord, isWhole } from "../config/check_value.ts";
import { nearest } from "../config/nearest.ts";
import { FAST_MODES } from "./plan/fast.ts";
import type { EncodeOptions } from "./images/image_input.ts";
import type { GenerateOptions, LoadOptions } from "./options.ts";
import type { SamplingOptions } from "./plan/plan.ts";

/** A type of values: what a message calls it, and whether a value is one. */
interface Kind {
  readonly need: string;
  is(value: unknown): boolean;
}

const kind = (need: string, is: (value: unknown) => boolean): Kind => ({ need, is });
const either = (...kinds: Kind[]): Kind =>
  kind(kinds.map(({ need }) => need).join(" or "), (value) => kinds.some(({ is }) => is(value)));
const listOf = (item: Kind, need: string): Kind =>
  // every() would leave out holes
  kind(need, (value) => Array.isArray(value) && [...value].every((v) => item.is(v)));
const orHole = ({ need, is }: Kind): Kind =>
  kind(need, (value) => value === undefined || is(value));
const oneOf = (...values: readonly string[]): Kind =>
  kind(`one of ${values.join(", ")}`, (value) => values.includes(value as string));

const text = kind("a string", (value) => typeof value === "string");
const flag = kind("true or false", (value) => typeof value === "boolean");
const number = kind("a number", (value) => typeof value === "number");
const count = kind("a whole number above 0", (value) => isWhole(value, 1));
const numbers = either(number, listOf(number, "a list of numbers"));
const seed = kind("a whole number", (v) => typeof v === "number" || typeof v === "bigint");
const callback = kind("a function", (value) => typeof value === "function");
const signal = kind("an AbortSignal", (value) => value instanceof AbortSignal);
const grid = kind("a grid", (v) => Array.isArray(v) && v.length === 2 && v.every(number.is));
const schedule = listOf(grid, "a list of [rows, columns]");
const forced = kind(
  "bits",
  (value) => value instanceof Uint8Array && value.every((bit) => bit <= FREE),
);
const floats = kind("floats", (value) => value instanceof Float32Array);
const features = kind("{ features, width, lens }", (value) => {
  const { features, width, lens } = (value ?? {}) as Record<string, unknown>;
  return floats.is(features) && number.is(width) && Array.isArray(lens) &&
    [...lens].every(number.is);
});
// images and bits have checks of their own
const image = kind("the bytes of an image file, { width, height, rgba } or bits", isObject);
const mask = kind("the bytes of an image file or { width, height, rgba }", isObject);
const object = kind("an object", isObject);
const gpu = kind(
  "a GPU",
  (value) => isObject(value) && typeof value.requestAdapter === "function",
);
const device = kind("a Device", (value) => value instanceof Device);
const lora = kind("{ path, strength }", (value) => {
  const { path, strength, ...rest } = isRecord(value) ? value : {};
  return (text.is(path) || path instanceof URL) && path !== "" &&
    (strength === undefined || isStrength(strength)) && Object.keys(rest).length === 0;
});

/** Adapters beyond this are a mistake: their effect grows with it. */
const MOST_STRENGTH = 100;

function isStrength(value: unknown): boolean {
  return typeof value === "number" && Math.abs(value) <= MOST_STRENGTH;
}

type Table<Options> = Readonly<Record<keyof Options, Kind>>;

const SAMPLING = {
  batchCount: number,
  seed: either(seed, listOf(seed, "a list of them")),
  cfgScale: numbers,
  cfgUntil: number,
  cfgInsertionLayer: numbers,
  tau: numbers,
  topK: number,
  topP: number,
  greedy: flag,
  fast: listOf(text, `a list of ${FAST_MODES.join(", ")}`),
  schedule,
  width: number,
  height: number,
  uniforms: listOf(orHole(floats), "a list of Float32Array"),
  forceBits: listOf(orHole(forced), `a list of Uint8Array of 0, 1 or ${FREE}`),
  trace: flag,
} satisfies Table<SamplingOptions>;

const GENERATE = {
  prompt: either(text, listOf(text, "a list of strings")),
  negativePrompt: text,
  textFeatures: features,
  negativeFeatures: features,
  ...SAMPLING,
  init: image,
  mask,
  strength: number,
  keepScales: number,
  preview: flag,
  onProgress: callback,
  onStage: callback,
  signal,
} satisfies Table<GenerateOptions>;

const MEMORY = {
  ...SAMPLING,
  type: oneOf(...WEIGHT_TYPES),
  staged: flag,
  edit: flag,
  adapter: oneOf("cpu", "gpu"),
  f16: flag,
  maxBindingBytes: count,
  prompts: count,
  promptTokens: count,
};

const SENSITIVITY = {
  shares: listOf(number, "a list of numbers"),
  trials: number,
  seed: kind("a bigint", (value) => typeof value === "bigint"),
  signal,
  onProgress: callback,
};

const LOAD = {
  gpu,
  device,
  type: oneOf(...WEIGHT_TYPES),
  staged: flag,
  lazy: flag,
  lora: listOf(lora, "a list of { path, strength }"),
  config: object,
  onProgress: callback,
} satisfies Table<LoadOptions>;

const ENCODE = {
  width: number,
  height: number,
  schedule,
  scales: number,
  maxPixels: number,
  onWarning: callback,
  trace: callback,
  signal,
} satisfies Table<EncodeOptions>;

/** What other programs call an option. */
const ALIASES: Readonly<Record<string, string>> = {
  cfg: "cfgScale",
  guidanceScale: "cfgScale",
  guidance: "cfgScale",
  temperature: "tau",
  numImages: "batchCount",
  image: "init",
};

/** Options that say the same in two ways: one of them would be ignored. */
const EXCLUSIVE = [
  ["prompt", "textFeatures"],
  ["negativePrompt", "negativeFeatures"],
  ["schedule", "width"],
  ["schedule", "height"],
  ["strength", "keepScales"],
  ["init", "forceBits"],
] as const;

function check(options: unknown, table: Table<Record<string, unknown>>): void {
  if (!isRecord(options)) {
    throw new InputError("bad-type", `Cannot use ${describe(options)} as options: give an object`);
  }
  for (const [name, value] of Object.entries(options as object)) {
    const known = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!known) {
      const plain = name.replaceAll(/[_-](\w)/g, (_, letter) => letter.toUpperCase());
      const meant = [ALIASES[plain], nearest(plain, Object.keys(table))]
        .find((meant) => meant !== undefined && Object.hasOwn(table, meant));
      const advice = meant
        ? `did you mean ${meant}?`
        : `there are ${Object.keys(table).join(", ")}`;
      throw new InputError("unknown-option", `Unknown option ${name}: ${advice}`);
    }
    if (value !== undefined && !known.is(value)) {
      const message = `Cannot use ${describe(value)} as ${name}: it must be ${known.need}`;
      throw new InputError("bad-type", message);
    }
  }
  for (const [one, other] of EXCLUSIVE) {
    if (options[one] === undefined || options[other] === undefined) continue;
    throw new InputError("bad-value", `Cannot use both ${one} and ${other}: give one of them`);
  }
}

/** Checks the options of a generation. @throws {InputError} `unknown-option`, `bad-type`, `bad-value`. */
export function checkGenerateOptions(options: GenerateOptions): void {
  check(options, GENERATE);
}

/** Checks how a model is loaded. @throws {InputError} `unknown-option`, `bad-type`. */
export function checkLoadOptions(options: LoadOptions): void {
  check(options, LOAD);
}

/** Checks how an image is encoded. @throws {InputError} `unknown-option`, `bad-type`, `bad-value`. */
export function checkEncodeOptions(options: EncodeOptions): void {
  check(options, ENCODE);
}

/** Checks how images are decoded. @throws {InputError} `unknown-option`, `bad-type`. */
export function checkDecodeOptions(options: object): void {
  check(options, { signal });
}

/** Checks the options of a memory plan. @throws {InputError} `unknown-option`, `bad-type`, `bad-value`. */
export function checkMemoryOptions(options: object): void {
  check(options, MEMORY);
}

/** Checks how sensitivity is measured. @throws {InputError} `unknown-option`, `bad-type`. */
export function checkSensitivityOptions(options: object): void {
  check(options, SENSITIVITY);
}
