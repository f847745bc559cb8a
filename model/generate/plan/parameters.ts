/**
 * The `parameters` text of an image, in the format of the Stable Diffusion web UI (A1111), which galleries and other
 * tools read: the prompt, `Negative prompt: …`, then `Steps: 4, Sampler: Infinity, …`.
 *
 * @module
 */

import { WEIGHT_TYPES, type WeightType } from "../../../kernels/linear/weight_types.ts";
import type { Grid } from "../../config/grid.ts";
import { FAST_MODES, type FastMode } from "./fast.ts";

/** An adapter of low rank that was added to the weights. */
export interface LoraUse {
  /** Name of its file. */
  readonly name: string;
  /** What its effect was multiplied by. */
  readonly strength: number;
  /** Beginning of the hash of its file, in hexadecimal. */
  readonly hash: string;
}

/** The settings that reproduce an image. */
export interface ImageParameters {
  /** The prompt; empty if there were text features. */
  readonly prompt: string;
  /** The negative prompt; absent, which differs from empty, for the model's own unconditional text. */
  readonly negativePrompt?: string;
  /** Number of scales. */
  readonly scales: number;
  /** Guidance scale, for all scales or for each. */
  readonly cfgScale: number | readonly number[];
  /** Temperature, for all scales or for each. */
  readonly tau: number | readonly number[];
  /** Seed of this image. */
  readonly seed: bigint;
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** Name of the model. */
  readonly model: string;
  /** Token grids [rows, columns], coarse to fine. */
  readonly schedule: readonly Grid[];
  /** 0 if off. */
  readonly topK: number;
  /** 0 if off. */
  readonly topP: number;
  /** Whether each bit took its likelier value. */
  readonly greedy: boolean;
  /** Where guidance was applied: 0 is the logits, −k the output of block depth − k; one or a list of them. */
  readonly cfgInsertionLayer: number | readonly number[];
  /** Approximations, if any. */
  readonly fast?: readonly FastMode[];
  /** Number of scales kept of an edited image. */
  readonly keepScales?: number;
  /** Whether the edit had a mask. */
  readonly masked?: boolean;
  /** Adapters of low rank that were added to the weights; absent if there were none. */
  readonly loras?: readonly LoraUse[];
  /** Storage of the weights, if not f32. */
  readonly type?: WeightType;
  /** Version of this package. */
  readonly version: string;
}

/**
 * Formats settings as text, which {@linkcode parseParameters} reads without loss.
 *
 * @example
 * ```ts ignore
 * imageParameters({ prompt: "red apple", scales: 4, cfgScale: 2, tau: 0.5, seed: 7n, ... });
 * // red apple
 * // Steps: 4, Sampler: Infinity, CFG scale: 2, Seed: 7, Size: 32x32, Model: emoji-nano, Tau: 0.5, …
 * ```
 */
export function imageParameters(of: ImageParameters): string {
  const { loras = [] } = of;
  const marks = loras.map(({ name, strength }) => `<lora:${name}:${strength}>`);
  const fields: [string, string | false][] = [
    ["Steps", `${of.scales}`],
    ["Sampler", "Infinity"],
    ["CFG scale", perScale(of.cfgScale)],
    ["Seed", `${of.seed}`],
    ["Size", `${of.width}x${of.height}`],
    ["Model", of.model],
    ["Tau", perScale(of.tau)],
    ["Schedule", of.schedule.map(([h, w]) => `${h}x${w}`).join(",")],
    ["Top K", of.topK !== 0 && `${of.topK}`],
    ["Top P", of.topP !== 0 && `${of.topP}`],
    ["Greedy", of.greedy && "True"],
    ["CFG insertion layer", `${of.cfgInsertionLayer}` !== "0" && `${of.cfgInsertionLayer}`],
    ["Fast", of.fast !== undefined && of.fast.length > 0 && of.fast.join(",")],
    ["Kept scales", of.keepScales !== undefined && `${of.keepScales}`],
    ["Masked", of.masked === true && "True"],
    [
      "Lora hashes",
      loras.length > 0 && loras.map(({ name, hash }) => `${name}: ${hash}`).join(", "),
    ],
    ["Storage", of.type !== undefined && of.type !== "f32" && of.type],
    ["Version", `bitwise ${of.version}`],
  ];
  const write = (extra: string[]) =>
    [
      [...of.prompt === "" && marks.length ? [] : [of.prompt], ...marks].join(" "),
      ...of.negativePrompt === undefined ? [] : [`Negative prompt: ${of.negativePrompt}`],
      [
        ...fields.flatMap(([key, value]) => value === false ? [] : [`${key}: ${quoted(value)}`]),
        ...extra,
      ].join(", "),
    ].join("\n");
  const text = write([]);
  // the format trims lines and has no escapes, so text that it would change is repeated as JSON
  const read = parseParameters(text);
  const texts = [["Prompt", "prompt"], ["Negative", "negativePrompt"]] as const;
  const isKept = JSON.stringify(read.loras ?? []) === JSON.stringify(loras);
  if (isKept && texts.every(([, key]) => of[key] === read[key] && !isFragile(of[key]))) return text;
  return write([
    ...texts.flatMap(([name, key]) =>
      of[key] === undefined ? [] : [`${name}: ${JSON.stringify(of[key])}`]
    ),
    ...marks.length > 0 ? [`Lora: ${JSON.stringify(marks.join(" "))}`] : [],
  ]);
}

/**
 * Parses the `parameters` text of an image, whichever program wrote it.
 *
 * @returns The fields that are present and understood.
 */
export function parseParameters(text: string): Partial<ImageParameters> {
  const lines = text.trim().split("\n").map((line) => line.trim());
  const fields = readFields(lines.at(-1)!);
  // as in the web UI, a last line with fewer fields belongs to the prompt
  if (fields.size >= 3) lines.pop();
  else fields.clear();
  const negativeAt = lines.findIndex((line) => line.startsWith(NEGATIVE));
  const negative = negativeAt < 0 ? undefined : lines.splice(negativeAt);
  if (negative) negative[0] = negative[0]!.slice(NEGATIVE.length).trim();

  const pick = <T>(key: string, read: (value: string) => T): T | undefined => {
    const value = fields.get(key);
    return value === undefined ? undefined : read(value);
  };
  const marked = fields.has("Prompt") ? fields.get("Lora") ?? "" : lines.join("\n");
  const { prompt, loras } = takeLoras(marked, fields.get("Lora hashes"));
  const size = pick("Size", grid);
  const of: Partial<ImageParameters> = {
    prompt: fields.get("Prompt") ?? prompt,
    negativePrompt: fields.has("Prompt") ? fields.get("Negative") : negative?.join("\n"),
    scales: pick("Steps", number),
    cfgScale: pick("CFG scale", numbers),
    tau: pick("Tau", numbers),
    seed: pick("Seed", (value) => /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined),
    width: size?.[0],
    height: size?.[1],
    model: fields.get("Model"),
    schedule: pick("Schedule", (value) => all(value.split(",").map(grid))),
    topK: fields.size ? pick("Top K", number) ?? 0 : undefined,
    topP: fields.size ? pick("Top P", number) ?? 0 : undefined,
    greedy: fields.size ? fields.get("Greedy") === "True" : undefined,
    cfgInsertionLayer: fields.size ? pick("CFG insertion layer", numbers) ?? 0 : undefined,
    fast: pick("Fast", (value) => FAST_MODES.filter((mode) => value.split(",").includes(mode))),
    keepScales: pick("Kept scales", number),
    masked: pick("Masked", (value) => value === "True"),
    loras,
    type: WEIGHT_TYPES.find((type) => type === fields.get("Storage")),
    version: pick("Version", (value) => value.replace(/^bitwise /, "")),
  };
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined));
}

const NEGATIVE = "Negative prompt:";

/**
 * Takes the marks of adapters from the end of a prompt, where the field of their hashes names the same, in their order.
 */
function takeLoras(
  text: string,
  hashes: string | undefined,
): { readonly prompt: string; readonly loras?: readonly LoraUse[] } {
  const loras: LoraUse[] = [];
  let prompt = text;
  for (const entry of hashes?.split(", ").reverse() ?? []) {
    const [, name, hash] = /^(.*): ([0-9a-f]{1,64})$/s.exec(entry) ?? [];
    const at = prompt.lastIndexOf(`<lora:${name}:`);
    const [, strength] = /^<lora:[^:]*:(-?[\d.]{1,20}(?:e-?\d{1,3})?)>$/s.exec(prompt.slice(at)) ??
      [];
    if (at < 0 || !name || !hash || !strength || !Number.isFinite(Number(strength))) {
      return { prompt: text };
    }
    loras.unshift({ name, strength: Number(strength), hash });
    prompt = prompt.slice(0, at).replace(/ $/, "");
  }
  return loras.length > 0 ? { prompt, loras } : { prompt };
}

function perScale(values: number | readonly number[]): string {
  if (typeof values === "number") return `${values}`;
  return values.every((value) => value === values[0]) ? `${values[0]}` : values.join(",");
}

function number(text: string): number | undefined {
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
}

function numbers(text: string): number | readonly number[] | undefined {
  const list = all(text.split(",").map(number));
  return list?.length === 1 ? list[0] : list;
}

function grid(text: string): Grid | undefined {
  const [, a, b] = /^(\d{1,6})x(\d{1,6})$/.exec(text) ?? [];
  return a && b ? [Number(a), Number(b)] : undefined;
}

/** A list if each item was understood. */
function all<T>(items: readonly (T | undefined)[]): readonly T[] | undefined {
  return items.includes(undefined) ? undefined : items as readonly T[];
}

/** Quotes a value as the web UI does, and where it would otherwise be read differently. */
function quoted(value: string): string {
  return /^["\s]|[,\n:]|\s$|^$/.test(value) ? JSON.stringify(value) : value;
}

/** Whether the text chunk of a PNG cannot hold a text. */
function isFragile(text: string | undefined): boolean {
  return text !== undefined && (text.includes("\0") || !text.isWellFormed());
}

function readFields(line: string): Map<string, string> {
  // keys are short: to look for the colon of each letter of a long line would take for ever
  const pattern = /(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)/g;
  return new Map(
    Array.from(line.matchAll(pattern), ([, key, value]) => [key!, unquoted(value!.trim())]),
  );
}

function unquoted(value: string): string {
  if (!/^".*"$/s.test(value)) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}
