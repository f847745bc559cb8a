/**
 * The fields of the form: from the parameters of a picture, and to what a source is asked.
 *
 * @module
 */

import { parseParameters } from "../../../model/generate/plan/parameters.ts";
import type { Ask, Card, Start } from "./source.ts";
import { isBits, newSeed } from "./bytes.ts";

/** What the fields of the form hold. */
export interface Settings {
  readonly prompt: string;
  /** Empty for the model's own. */
  readonly negative: string;
  /** Such as `32x32`. */
  readonly size: string;
  /** A number, or one for each scale between commas; empty for the model's own. */
  readonly cfg: string;
  readonly tau: string;
  /** Decimal digits; the seed of the latest request if it is random. */
  readonly seed: string;
  /** Whether the next request takes another seed. */
  readonly random: boolean;
  readonly count: number;
  /** How much of a picture to start from may change, 0 to 1. */
  readonly strength: number;
}

/** The form before anything is typed. Its size is the model's, which is not known yet. */
export const EMPTY: Settings = {
  prompt: "",
  negative: "",
  size: "",
  cfg: "",
  tau: "",
  seed: "",
  random: true,
  count: 1,
  strength: 0.75,
};

/** Settings that a model can do, as near to those given as may be. */
export function fitSettings(settings: Settings, card: Card): Settings {
  const known = card.sizes.some((size) => sizeName(size) === settings.size);
  return {
    ...settings,
    size: known ? settings.size : sizeName(card.sizes[0]!),
    count: Math.min(settings.count, card.maxImages),
  };
}

/** The name of a size in the form and in requests. */
export function sizeName({ width, height }: { width: number; height: number }): string {
  return `${width}x${height}`;
}

/** What is wrong with fields, by their names. */
export type Faults = Partial<Record<keyof Settings, string>>;

/** Finds what no source would accept. */
export function faultsOf(settings: Settings): Faults {
  const faults: Faults = {};
  if (settings.prompt.trim() === "") faults.prompt = "Say what the picture shows";
  for (const field of ["cfg", "tau"] as const) {
    if (settings[field].trim() !== "" && !numbersOf(settings[field])) {
      faults[field] = "A number, or one for each scale between commas";
    }
  }
  if (!settings.random && !isSeed(settings.seed)) {
    faults.seed = "A whole number from 0 to 18446744073709551615";
  }
  return faults;
}

/** What to ask of a source. The settings have no faults. */
export function askFor(settings: Settings, start?: Start): Ask {
  const [width, height] = settings.size.split("x").map(Number);
  return {
    prompt: settings.prompt.trim(),
    negativePrompt: settings.negative.trim() || undefined,
    ...isBits(start?.image) ? {} : { width, height },
    cfgScale: numbersOf(settings.cfg),
    tau: numbersOf(settings.tau),
    seed: settings.random ? newSeed() : settings.seed.trim(),
    count: settings.count,
    start,
  };
}

/** The fields that the parameters of a picture fill, and what of them this model cannot do. */
export function readSettings(
  text: string,
  card: Card,
): { readonly settings: Partial<Settings>; readonly notes: readonly string[] } {
  const read = parseParameters(text);
  const notes: string[] = [];
  const size = read.width && read.height
    ? sizeName({ width: read.width, height: read.height })
    : undefined;
  const known = card.sizes.some((each) => sizeName(each) === size);
  if (size && !known) notes.push(`this model does not draw ${size.replace("x", "×")}`);
  if (read.model && read.model !== card.name) notes.push(`it was drawn by ${read.model}`);
  if (read.keepScales || read.masked) notes.push("it was drawn over another picture");
  const settings = {
    prompt: read.prompt,
    negative: read.negativePrompt ?? "",
    size: known ? size : undefined,
    cfg: read.cfgScale?.toString(),
    tau: read.tau?.toString(),
    seed: read.seed?.toString(),
    random: read.seed === undefined ? undefined : false,
    count: 1,
  };
  const present = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { settings: Object.fromEntries(present), notes };
}

/** One number or a list; undefined if the text is neither. */
function numbersOf(text: string): number | readonly number[] | undefined {
  const parts = text.split(",").map((part) => part.trim());
  const list = parts.map(Number);
  if (parts.includes("") || !list.every(Number.isFinite)) return undefined;
  return list.length === 1 ? list[0] : list;
}

function isSeed(text: string): boolean {
  return /^\s*\d{1,20}\s*$/.test(text) && BigInt(text) < 1n << 64n;
}
