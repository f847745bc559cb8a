import { InputError } from "../../../engine/mod.ts";
import { describe } from "../../config/check_value.ts";
import type { Grid } from "../../config/grid.ts";
import { checkSchedule, referenceGrid, scheduleForSize } from "../../config/schedule.ts";
import type { ModelConfig } from "../../config/types.ts";
import { FAST_MODES, type FastMode, fastScales } from "./fast.ts";
import { RANDOM_SEED, randomSeed } from "./seed.ts";

/** How to sample bits. The defaults are those of the model's config.json, unless another is stated. */
export interface SamplingOptions {
  /** Number of images per prompt; 1 if absent. */
  readonly batchCount?: number;
  /** Seed of the first image (image i uses seed + i), or a list with one seed per image. −1 chooses one at random. */
  readonly seed?: number | bigint | readonly (number | bigint)[];
  /** Scale of classifier-free guidance, for all scales or for each; 1 turns it off. */
  readonly cfgScale?: number | readonly number[];
  /** Number of scales that are guided, counted from the first; all if absent. */
  readonly cfgUntil?: number;
  /** Temperature of the bits' logits, for all scales or for each; above 0. */
  readonly tau?: number | readonly number[];
  /** 1 takes the likelier value of each bit. Other values change nothing, since a bit has two. */
  readonly topK?: number;
  /** Excludes the less likely value of a bit where its probability is at most 1 − topP; 0 turns it off. */
  readonly topP?: number;
  /** Takes the likelier value of each bit; false if absent. */
  readonly greedy?: boolean;
  /** Where guidance is applied: 0 for the logits, −k for the output of block depth − k, or a list of these. */
  readonly cfgInsertionLayer?: number | readonly number[];
  /** Approximations that save work, none if absent; see {@link FastMode}. */
  readonly fast?: readonly FastMode[];
  /** Token grids [rows, columns] of the scales, coarse to fine, in place of a size. */
  readonly schedule?: readonly Grid[];
  /** Width in pixels; selects a schedule together with `height`. */
  readonly width?: number;
  /** Height in pixels. */
  readonly height?: number;
  /** Numbers in [0, 1) for sampling, by scale [B, h, w, d]: a bit is 1 where its number is below its probability. */
  readonly uniforms?: readonly (Float32Array | undefined)[];
  /** Bits to force, by scale [B, h, w, d]: 0, 1, or 2 for a bit that is sampled. */
  readonly forceBits?: readonly (Uint8Array | undefined)[];
  /** Whether to return logits, bits and codes of each scale; see {@link Result.trace}. */
  readonly trace?: boolean;
}

/** {@link SamplingOptions}, checked, with all defaults filled in. */
export interface Plan {
  /** Number of images. */
  readonly images: number;
  /** Seed of each image. */
  readonly seeds: readonly bigint[];
  /** Token grids of the scales. */
  readonly schedule: readonly Grid[];
  /** Grid that the positions of RoPE refer to. */
  readonly referenceGrid: Grid;
  /** Guidance scale of each scale. */
  readonly cfg: readonly number[];
  /** Temperature of each scale. */
  readonly tau: readonly number[];
  /** See {@link SamplingOptions.topK}. */
  readonly topK: number;
  /** See {@link SamplingOptions.topP}. */
  readonly topP: number;
  /** See {@link SamplingOptions.greedy}. */
  readonly greedy: boolean;
  /** Blocks whose output is guided, counted from 0. */
  readonly guidedBlocks: readonly number[];
  /** Whether the logits are guided. */
  readonly guidesLogits: boolean;
  /** Number of scales that compute the unconditional half: all up to the last guided one. */
  readonly guidedScales: number;
  /** Approximations that are on, without duplicates. */
  readonly fast: readonly FastMode[];
  /** Number of scales, from the first, whose keys and values are cached; all but the last without approximations. */
  readonly cachedScales: number;
  /**
   * First scale whose hidden states are restored, not computed; the last scale if none are. The last one is computed.
   */
  readonly restoredFrom: number;
  /** See {@link SamplingOptions.uniforms}. */
  readonly uniforms: readonly (Float32Array | undefined)[];
  /** See {@link SamplingOptions.forceBits}. */
  readonly forceBits: readonly (Uint8Array | undefined)[];
  /** See {@link SamplingOptions.trace}. */
  readonly trace: boolean;
  /** Warnings about the size, one line each. */
  readonly warnings: readonly string[];
}

/** Limit on images: attention takes two spans per guided image along one dimension of a dispatch (65,535). */
const MAX_IMAGES = 32767;

function refuse(code: string, message: string): never {
  throw new InputError(code, message);
}

/** Whether f32 holds a value as a finite number. */
function isFloat(value: number): boolean {
  return Number.isFinite(Math.fround(value));
}

/** One checked value per scale. */
function perScale(
  name: string,
  given: number | readonly number[],
  scales: number,
  allowed: (value: number) => boolean,
  need: string,
): number[] {
  const list = typeof given === "number" ? Array<number>(scales).fill(given) : [...given];
  if (list.length !== scales) {
    refuse(
      "wrong-length",
      `Cannot use ${list.length} values of ${name}: the schedule has ${scales} scales, give one ` +
        `value or ${scales}`,
    );
  }
  const bad = list.find((value) => !allowed(value));
  if (bad !== undefined) refuse("bad-value", `Cannot use ${name} ${bad}: it must be ${need}`);
  return list;
}

/** A model's default for a schedule of any length: of a list, the last value goes on. */
function fitted(value: number | readonly number[], scales: number): number | readonly number[] {
  if (typeof value === "number") return value;
  return Array.from({ length: scales }, (_, s) => value[Math.min(s, value.length - 1)]!);
}

/** Guidance scale of each scale. */
function guidance(config: ModelConfig, options: SamplingOptions, scales: number): number[] {
  const given = options.cfgScale ?? fitted(config.defaults.cfg, scales);
  const cfg = perScale("cfg scale", given, scales, isFloat, "a number that f32 can hold");
  const { cfgUntil = scales } = options;
  if (!Number.isInteger(cfgUntil) || cfgUntil < 0 || cfgUntil > scales) {
    refuse(
      "bad-value",
      `Cannot guide the first ${cfgUntil} scales: it must be a whole number from 0 to ${scales}`,
    );
  }
  return cfg.fill(1, cfgUntil);
}

function seedsOf(seed: NonNullable<SamplingOptions["seed"]>, images: number): bigint[] {
  const list = Array.isArray(seed) ? seed as readonly (number | bigint)[] : null;
  if (list && list.length !== images) {
    refuse("wrong-length", `Cannot use ${list.length} seeds for ${images} images`);
  }
  const toSeed = (value: number | bigint): bigint => {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      const need = Number.isInteger(value)
        ? "give one beyond 2^53 as a bigint"
        : "it must be a whole number";
      refuse("bad-value", `Cannot use seed ${value}: ${need}`);
    }
    const seed = BigInt(value);
    if (seed < -(2n ** 63n) || seed >= 2n ** 64n) {
      refuse("bad-value", `Cannot use seed ${describe(value)}: it must have 64 bits at most`);
    }
    return seed === RANDOM_SEED ? randomSeed() : BigInt.asUintN(64, seed);
  };
  if (list) return list.map(toSeed);
  const first = toSeed(seed as number | bigint);
  return Array.from({ length: images }, (_, i) => BigInt.asUintN(64, first + BigInt(i)));
}

/** Where guidance is applied, from the official `cfg_insertion_layer` (infinity/models/infinity.py). */
function insertionsOf(
  given: number | readonly number[],
  depth: number,
): Pick<Plan, "guidedBlocks" | "guidesLogits"> {
  const layers = typeof given === "number" ? [given] : given;
  const allowed = `use 0 for the logits, or -1 to -${depth - 1} for the output of a block ` +
    `counted from the last`;
  if (layers.length === 0) {
    refuse("bad-value", `Cannot insert guidance: the list of layers is empty; ${allowed}`);
  }
  const bad = layers.find((layer) => !(Number.isInteger(layer) && layer <= 0 && depth + layer > 0));
  if (bad !== undefined) refuse("bad-value", `Cannot insert guidance at ${bad}: ${allowed}`);
  const blocks = layers.filter((layer) => layer < 0).map((layer) => depth + layer);
  return { guidedBlocks: [...new Set(blocks)], guidesLogits: layers.includes(0) };
}

/** Number of images of a batch. */
function imageCount({ batchCount = 1 }: SamplingOptions, prompts: number): number {
  if (!Number.isInteger(batchCount) || batchCount < 1) {
    refuse("bad-value", `Cannot make ${batchCount} images: batch count must be 1 or more`);
  }
  const images = prompts * batchCount;
  if (images > MAX_IMAGES) {
    refuse("bad-value", `Cannot make ${images} images at once: the limit is ${MAX_IMAGES}`);
  }
  return images;
}

/** The schedule that is given, or that of the size. */
function scheduleOf(
  config: ModelConfig,
  options: SamplingOptions,
  warn: (line: string) => void,
): readonly Grid[] {
  const schedule = options.schedule ??
    scheduleForSize(config, options.width, options.height, warn);
  checkSchedule(schedule);
  const { lvl_embed_rows } = config.transformer;
  if (schedule.length > lvl_embed_rows) {
    refuse(
      "bad-value",
      `Cannot use a schedule of ${schedule.length} scales: the model has ${lvl_embed_rows} ` +
        "level embeddings",
    );
  }
  const [h, w] = schedule[0]!;
  if (h !== 1 || w !== 1) {
    refuse("bad-value", `Cannot begin a schedule with ${h}x${w}: the first scale is 1x1`);
  }
  return schedule;
}

/** Checks what excludes the less likely value of a bit. */
function exclusion(
  { defaults }: ModelConfig,
  { topK = defaults.top_k, topP = defaults.top_p, greedy = false }: SamplingOptions,
): Pick<Plan, "topK" | "topP" | "greedy"> {
  if (!Number.isInteger(topK) || topK < 0) {
    refuse("bad-value", `Cannot use top-k ${topK}: it must be a whole number; 0 turns it off`);
  }
  if (!(topP >= 0 && topP <= 1)) {
    refuse("bad-value", `Cannot use top-p ${topP}: it must be from 0 to 1; 0 turns it off`);
  }
  return { topK, topP, greedy };
}

/**
 * Checks options against the model and fills in its defaults.
 *
 * @throws {InputError} An option is wrong; the message names it, its value and what is allowed.
 */
export function makePlan(config: ModelConfig, options: SamplingOptions, prompts: number): Plan {
  const { defaults, transformer } = config;
  const warnings: string[] = [];
  const images = imageCount(options, prompts);
  const schedule = scheduleOf(config, options, (line) => warnings.push(line));
  const scales = schedule.length;
  const cfg = guidance(config, options, scales);
  return {
    images,
    seeds: seedsOf(options.seed ?? defaults.seed, images),
    schedule,
    referenceGrid: transformer.rope.reference_grid ?? referenceGrid(schedule),
    cfg,
    // scales before a guided one fill the cache of the unconditional half
    guidedScales: cfg.findLastIndex((strength) => strength !== 1) + 1,
    tau: perScale(
      "tau",
      options.tau ?? fitted(defaults.tau, scales),
      scales,
      (tau) => isFloat(tau) && tau > 0 && isFloat(1 / tau),
      "a number above 0 that f32 can hold",
    ),
    ...exclusion(config, options),
    ...insertionsOf(options.cfgInsertionLayer ?? defaults.cfg_insertion_layer, transformer.depth),
    fast: FAST_MODES.filter((mode) => options.fast?.includes(mode)),
    ...fastScales(schedule, options.fast ?? []),
    uniforms: options.uniforms ?? [],
    forceBits: options.forceBits ?? [],
    trace: options.trace ?? false,
    warnings,
  };
}
