import { InputError } from "../../engine/mod.ts";
import type { Grid } from "../config/grid.ts";
import { checkSchedule, referenceGrid, scheduleForSize } from "../config/schedule.ts";
import type { ModelConfig } from "../config/types.ts";
import { FAST_MODES, type FastMode, fastScales } from "./fast.ts";

/** How to draw images; everything has a default from the model's config.json. */
export interface SamplingOptions {
  /** Images per prompt; 1 if absent. */
  readonly batchCount?: number;
  /** Seed of the first image (image i uses seed + i), or a list with one for each image; −1 chooses one at random. */
  readonly seed?: number | bigint | readonly (number | bigint)[];
  /** Strength of classifier-free guidance, for all scales or for each; 1 is none. */
  readonly cfgScale?: number | readonly number[];
  /** Scales that are guided: from this one on, counted from 0, guidance is 1; all if absent. */
  readonly cfgUntil?: number;
  /** Temperature, for all scales or for each. */
  readonly tau?: number | readonly number[];
  /** 1 takes the likelier value of each bit; other values change nothing, since a bit has two. */
  readonly topK?: number;
  /** Drops the unlikelier value of a bit where its probability is at most 1 − topP; 0 is off. */
  readonly topP?: number;
  /** Takes the likelier value of each bit. */
  readonly greedy?: boolean;
  /** Where guidance is applied: 0 is the logits, −k the output of block depth − k; or a list of these. */
  readonly cfgInsertionLayer?: number | readonly number[];
  /** Approximations that save work, see {@link FastMode}; none if absent. */
  readonly fast?: readonly FastMode[];
  /** Token grids of the scales, coarse to fine; the model's own if absent. */
  readonly schedule?: readonly Grid[];
  /** Pixels across; picks a schedule together with `height`. */
  readonly width?: number;
  /** Pixels down. */
  readonly height?: number;
  /** Numbers in [0, 1) to draw with, [B, h, w, d] by scale: a bit is 1 where its number is below its probability. */
  readonly uniforms?: readonly (Float32Array | undefined)[];
  /** Bits that are given, [B, h, w, d] by scale: 0, 1, or 2 for a bit that is sampled. */
  readonly forceBits?: readonly (Uint8Array | undefined)[];
  /** Keeps what happened on the way. */
  readonly trace?: boolean;
}

/** {@link SamplingOptions} resolved and checked. */
export interface Plan {
  /** Number of images. */
  readonly images: number;
  /** Seed of each image. */
  readonly seeds: readonly bigint[];
  /** Token grids of the scales. */
  readonly schedule: readonly Grid[];
  /** Grid that RoPE's positions refer to. */
  readonly referenceGrid: Grid;
  /** Guidance by scale. */
  readonly cfg: readonly number[];
  /** Temperature by scale. */
  readonly tau: readonly number[];
  /** See {@link SamplingOptions}. */
  readonly topK: number;
  /** See {@link SamplingOptions}. */
  readonly topP: number;
  /** See {@link SamplingOptions}. */
  readonly greedy: boolean;
  /** Blocks whose output is guided, counted from 0. */
  readonly guidedBlocks: readonly number[];
  /** Whether the logits are guided. */
  readonly guidesLogits: boolean;
  /** How many of the first scales compute the unconditional half: those up to the last that is guided. */
  readonly guidedScales: number;
  /** Approximations that are on, each once. */
  readonly fast: readonly FastMode[];
  /** How many of the first scales later ones attend to; all but the last if nothing is approximated. */
  readonly cachedScales: number;
  /** From this scale to the one before the last, hidden states are restored, not computed; the last scale if none are. */
  readonly restoredFrom: number;
  /** By scale. */
  readonly uniforms: readonly (Float32Array | undefined)[];
  /** By scale. */
  readonly forceBits: readonly (Uint8Array | undefined)[];
  /** Whether to keep a trace. */
  readonly trace: boolean;
  /** What a user should know of the size, a line each. */
  readonly warnings: readonly string[];
}

/** Attention's spans of a guided batch, two per image, are one dimension of a dispatch. */
const MAX_IMAGES = 32767;

function refuse(code: string, message: string): never {
  throw new InputError(code, message);
}

/** Whether the GPU's f32 holds a value: neither NaN nor too large. */
function isFloat(value: number): boolean {
  return Number.isFinite(Math.fround(value));
}

/** One value per scale. */
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

/** Guidance by scale: behind the last that is not 1, the unconditional half costs nothing any more. */
function guidance(config: ModelConfig, options: SamplingOptions, scales: number): number[] {
  const given = options.cfgScale ?? config.defaults.cfg;
  const cfg = perScale("cfg scale", given, scales, isFloat, "a number f32 can hold");
  const { cfgUntil = scales } = options;
  if (!Number.isInteger(cfgUntil) || cfgUntil < 0 || cfgUntil > scales) {
    refuse(
      "bad-value",
      `Cannot guide the first ${cfgUntil} scales: it must be a whole number from 0 to ${scales}`,
    );
  }
  return cfg.fill(1, cfgUntil);
}

/** A seed of 32 bits: short enough to be typed again. */
function randomSeed(): bigint {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0]!);
}

function seedsOf(seed: NonNullable<SamplingOptions["seed"]>, images: number): bigint[] {
  const list = Array.isArray(seed) ? seed as readonly (number | bigint)[] : null;
  if (list && list.length !== images) {
    refuse("wrong-length", `Cannot use ${list.length} seeds for ${images} images`);
  }
  const toSeed = (value: number | bigint): bigint => {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      refuse("bad-value", `Cannot use seed ${value}: it must be a whole number`);
    }
    return BigInt(value) === -1n ? randomSeed() : BigInt.asUintN(64, BigInt(value));
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
    refuse("bad-value", `Cannot insert guidance at no layer: ${allowed}`);
  }
  const bad = layers.find((layer) => !(Number.isInteger(layer) && layer <= 0 && depth + layer > 0));
  if (bad !== undefined) refuse("bad-value", `Cannot insert guidance at ${bad}: ${allowed}`);
  const blocks = layers.filter((layer) => layer < 0).map((layer) => depth + layer);
  return { guidedBlocks: [...new Set(blocks)], guidesLogits: layers.includes(0) };
}

/**
 * Checks options against the model and fills in its defaults.
 *
 * @throws {InputError} one line that names the option, its value and what is allowed.
 */
export function makePlan(config: ModelConfig, options: SamplingOptions, prompts: number): Plan {
  const { defaults, transformer } = config;
  const { batchCount = 1 } = options;
  if (!Number.isInteger(batchCount) || batchCount < 1) {
    refuse("bad-value", `Cannot make ${batchCount} images: batch count must be 1 or more`);
  }
  const images = prompts * batchCount;
  if (images > MAX_IMAGES) {
    refuse("bad-value", `Cannot make ${images} images at once: the limit is ${MAX_IMAGES}`);
  }
  const warnings: string[] = [];
  const schedule = options.schedule ??
    scheduleForSize(config, options.width, options.height, (line) => warnings.push(line));
  checkSchedule(schedule);
  if (schedule.length > transformer.lvl_embed_rows) {
    refuse(
      "bad-value",
      `Cannot use a schedule of ${schedule.length} scales: the model has ` +
        `${transformer.lvl_embed_rows} level embeddings`,
    );
  }
  const [h0, w0] = schedule[0]!;
  if (h0 !== 1 || w0 !== 1) {
    refuse("bad-value", `Cannot begin a schedule with ${h0}x${w0}: the first scale is 1x1`);
  }
  const scales = schedule.length;
  const { topK = defaults.top_k, topP = defaults.top_p } = options;
  if (!Number.isInteger(topK) || topK < 0) {
    refuse("bad-value", `Cannot use top-k ${topK}: it must be a whole number, 0 is off`);
  }
  if (!(topP >= 0 && topP <= 1)) {
    refuse("bad-value", `Cannot use top-p ${topP}: it must be 0 to 1, 0 is off`);
  }
  const cfg = guidance(config, options, scales);
  return {
    images,
    seeds: seedsOf(options.seed ?? defaults.seed, images),
    schedule,
    referenceGrid: transformer.rope.reference_grid ?? referenceGrid(schedule),
    cfg,
    // the half is needed as long as this or a later scale is guided: it fills the cache meanwhile
    guidedScales: cfg.findLastIndex((strength) => strength !== 1) + 1,
    tau: perScale(
      "tau",
      options.tau ?? defaults.tau,
      scales,
      (tau) => isFloat(tau) && tau > 0 && isFloat(1 / tau),
      "a number above 0 that f32 can hold",
    ),
    topK,
    topP,
    greedy: options.greedy ?? false,
    ...insertionsOf(
      options.cfgInsertionLayer ?? defaults.cfg_insertion_layer,
      transformer.depth,
    ),
    fast: FAST_MODES.filter((mode) => options.fast?.includes(mode)),
    ...fastScales(schedule, options.fast ?? []),
    uniforms: options.uniforms ?? [],
    forceBits: options.forceBits ?? [],
    trace: options.trace ?? false,
    warnings,
  };
}
