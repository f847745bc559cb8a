/** From the fields of a request to jobs. */

import type { Job, JobSettings, ModelCard } from "../../jobs/job.ts";
import { randomSeed } from "../../../model/generate/plan/seed.ts";
import { badField, MAX_SEED } from "../base/fields.ts";
import type { Limits } from "../base/limits.ts";

/** Images to make that differ in their seeds. */
export interface Order {
  readonly prompt: string;
  /** The seed of the first one. */
  readonly seed: bigint;
  /** Number of images. */
  readonly n: number;
  readonly settings: JobSettings;
}

/** What clients say, by the names that OpenAI's extension, A1111 and cog share. Null is the same as absent. */
export interface Wishes {
  readonly prompt: string;
  readonly negative_prompt?: string | null;
  readonly n?: number | null;
  readonly seed?: number | string | null;
  readonly width?: number | null;
  readonly height?: number | null;
  readonly cfg_scale?: number | readonly number[] | null;
  readonly cfg_until?: number | null;
  readonly tau?: number | readonly number[] | null;
  readonly top_k?: number | null;
  readonly top_p?: number | null;
  readonly greedy?: boolean | null;
  readonly strength?: number | null;
  readonly keep_scales?: number | null;
  /** In base64, as {@link JobSettings.init}; the same holds below. */
  readonly init?: string | null;
  readonly mask?: string | null;
}

/** What an API calls the fields that its clients may have got wrong, where errors have another name for them. */
export type Names = Readonly<Record<string, string>>;

/** What an API calls a field. */
export function nameOf(names: Names, field: string): string {
  return names[field] ?? field;
}

/** Checks what must hold for all models, and draws a random seed. @throws {RequestError} */
export function orderOf(
  wishes: Wishes,
  card: ModelCard,
  limits: Limits,
  names: Names = {},
): Order {
  const { prompt, negative_prompt, n, width, height } = wishes;
  const refuse = (field: string, why: string, code?: string): never => {
    throw badField(nameOf(names, field), why, code);
  };
  for (const [field, text] of Object.entries({ prompt, negative_prompt })) {
    if ((text?.length ?? 0) > limits.promptLength) {
      refuse(field, `it has ${text!.length} characters of at most ${limits.promptLength}`);
    }
  }
  const images = n ?? 1;
  if (images > limits.images) refuse("n", `${images} images are more than ${limits.images}`);
  if (wishes.strength != null && wishes.keep_scales != null) {
    refuse("keep_scales", "strength is given too; give one of them");
  }
  if (!makes(card, width, height)) refuse("size", sizesOf(card), "bad-size");
  const seed = readSeed(wishes.seed) ?? refuse("seed", `it is above ${MAX_SEED}`);
  return { prompt, seed, n: images, settings: settingsOf(wishes) };
}

/** The jobs of an order. Their names are new ones. */
export function jobsOf({ prompt, seed, n, settings }: Order): Job[] {
  return Array.from({ length: n }, (_, i) => ({
    id: crypto.randomUUID(),
    prompt,
    seed: `${BigInt.asUintN(64, seed + BigInt(i))}`,
    settings,
  }));
}

function settingsOf(wishes: Wishes): JobSettings {
  const all = {
    negativePrompt: wishes.negative_prompt || undefined,
    width: wishes.width,
    height: wishes.height,
    cfgScale: wishes.cfg_scale,
    cfgUntil: wishes.cfg_until,
    tau: wishes.tau,
    topK: wishes.top_k,
    topP: wishes.top_p,
    greedy: wishes.greedy,
    init: wishes.init,
    mask: wishes.mask,
    strength: wishes.strength,
    keepScales: wishes.keep_scales,
  };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined && value !== null),
  );
}

/** The seed, or a random one; null if it is too large. */
function readSeed(seed: number | string | null | undefined): bigint | null {
  if (seed === undefined || seed === null || BigInt(seed) === -1n) return randomSeed();
  return BigInt(seed) > MAX_SEED ? null : BigInt(seed);
}

/** Reads `auto` or `WIDTHxHEIGHT`. @throws {RequestError} */
export function readSize(
  card: ModelCard,
  size: string | null | undefined,
): { readonly width?: number; readonly height?: number } {
  if (size === undefined || size === null || size === "auto") return {};
  const [, width, height] = /^(\d{1,6})x(\d{1,6})$/.exec(size) ?? [];
  if (!width || !height) throw badField("size", sizesOf(card), "bad-size");
  return { width: Number(width), height: Number(height) };
}

function makes(card: ModelCard, width?: number | null, height?: number | null): boolean {
  if (width == null && height == null) return true;
  return card.sizes.some((size) => size.width === width && size.height === height);
}

/** Why a size is wrong. */
function sizesOf(card: ModelCard): string {
  const sizes = card.sizes.map(({ width, height }) => `${width}x${height}`).join(", ");
  return `${card.name} makes ${sizes}; give one of them, or none`;
}
