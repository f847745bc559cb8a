import { InputError, quote } from "../../engine/mod.ts";
import type { Grid } from "./grid.ts";
import type { ModelConfig, PixelBudget } from "./types.ts";

/** The most scales and tokens of a schedule; official ones have 13 and 10,521. */
const MOST_SCALES = 1000;
const MOST_TOKENS = 2 ** 20;

/** Number of scales by image size: a shorter schedule is the beginning of its ratio's longest. */
const LENGTHS: Readonly<Record<PixelBudget, number>> = {
  "0.06M": 7,
  "0.25M": 10,
  "0.60M": 12,
  "1M": 13,
};

/** The official 1M schedules of portrait images, (h, w): infinity/utils/dynamic_resolution.py. */
const UPRIGHT: readonly (readonly [ratio: number, scales: string])[] = [
  [1, "1x1,2x2,4x4,6x6,8x8,12x12,16x16,20x20,24x24,32x32,40x40,48x48,64x64"],
  [1.25, "1x1,2x2,3x3,5x4,10x8,15x12,20x16,25x20,30x24,35x28,45x36,55x44,70x56"],
  [1.333, "1x1,2x2,4x3,8x6,12x9,16x12,20x15,24x18,28x21,36x27,48x36,60x45,72x54"],
  [1.5, "1x1,2x2,3x2,6x4,9x6,15x10,21x14,27x18,33x22,39x26,48x32,63x42,78x52"],
  [1.75, "1x1,2x2,3x3,7x4,11x6,14x8,21x12,28x16,35x20,42x24,56x32,70x40,84x48"],
  [2, "1x1,2x2,4x2,6x3,10x5,16x8,22x11,30x15,38x19,46x23,60x30,74x37,90x45"],
  [2.5, "1x1,2x2,5x2,10x4,15x6,20x8,25x10,30x12,40x16,50x20,65x26,80x32,100x40"],
  [3, "1x1,2x2,6x2,9x3,15x5,21x7,27x9,36x12,45x15,54x18,72x24,90x30,111x37"],
];

/** The 1M schedules by height over width; each ratio except 1 is followed by its inverse, cut to three digits. */
const LADDERS: ReadonlyMap<number, readonly Grid[]> = new Map(
  UPRIGHT.flatMap(([ratio, text]): [number, Grid[]][] => {
    const grids = parseSchedule(text);
    if (ratio === 1) return [[ratio, grids]];
    const across = grids.map(([h, w]): Grid => [w, h]);
    return [[ratio, grids], [Math.trunc(1000 / ratio) / 1000, across]];
  }),
);

/** Height over width of the official schedules, by the official code's names. */
export const RATIOS: readonly number[] = [...LADDERS.keys()];

/** Names of the official image sizes, from small to large. */
export const PIXEL_BUDGETS: readonly PixelBudget[] = Object.keys(LENGTHS) as PixelBudget[];

/**
 * Returns an official schedule, in tokens.
 *
 * @param ratio One of {@linkcode RATIOS}; see {@linkcode nearestRatio}.
 * @throws {InputError} `bad-value`: no schedule has this ratio or size.
 */
export function schedules(ratio: number, pixels: PixelBudget): readonly Grid[] {
  const ladder = LADDERS.get(ratio);
  if (!ladder) {
    throw new InputError(
      "bad-value",
      `Cannot use ratio ${ratio}: it must be one of ${RATIOS.join(", ")}`,
    );
  }
  const length = Object.hasOwn(LENGTHS, pixels) ? LENGTHS[pixels] : undefined;
  if (length === undefined) {
    throw new InputError(
      "bad-value",
      `Cannot use size ${JSON.stringify(pixels)}: it must be one of ${PIXEL_BUDGETS.join(", ")}`,
    );
  }
  return ladder.slice(0, length);
}

/**
 * Returns the official ratio nearest to a height over width; the first of two that are equally near.
 *
 * @throws {InputError} `bad-value`: it is not above 0.
 */
export function nearestRatio(ratio: number): number {
  if (!(ratio > 0 && ratio < Infinity)) {
    throw new InputError("bad-value", `Cannot use ratio ${ratio}: it must be above 0`);
  }
  return RATIOS.reduce((best, next) =>
    Math.abs(next - ratio) < Math.abs(best - ratio) ? next : best
  );
}

/**
 * Reads a schedule of `height x width` in tokens, from coarse to fine.
 *
 * @example
 * ```ts
 * import { parseSchedule } from "./schedule.ts";
 *
 * parseSchedule("1x1,2x2,3x4"); // [[1, 1], [2, 2], [3, 4]]
 * ```
 *
 * @throws {InputError} `bad-schedule`: the message quotes the part that cannot be read.
 */
export function parseSchedule(text: string): Grid[] {
  const parts = text.split(",", MOST_SCALES + 1);
  if (parts.length > MOST_SCALES) {
    const message = `Cannot read schedule ${quote(text)}: it has more than ${MOST_SCALES} scales`;
    throw new InputError("bad-schedule", message);
  }
  return parts.map((part): Grid => {
    const match = /^\s*([1-9]\d{0,3})x([1-9]\d{0,3})\s*$/i.exec(part);
    if (!match) {
      throw new InputError(
        "bad-schedule",
        `Cannot read schedule ${quote(text)}: ${quote(part)} is not a scale, ` +
          "write height x width in tokens, such as 1x1,2x2,4x4",
      );
    }
    return [Number(match[1]), Number(match[2])];
  });
}

/** Whether `schedule` is the beginning of `ladder`. */
function isStart(schedule: readonly Grid[], ladder: readonly Grid[]): boolean {
  return schedule.every(([h, w], i) =>
    i < ladder.length && ladder[i][0] === h && ladder[i][1] === w
  );
}

/**
 * Returns the grid in whose positions RoPE counts: the last scale of the ratio's 1M schedule for an
 * official schedule, else the schedule's own last scale.
 *
 * @throws {InputError} `bad-schedule`: it is empty.
 */
export function referenceGrid(schedule: readonly Grid[]): Grid {
  const lengths = Object.values(LENGTHS);
  for (const ladder of LADDERS.values()) {
    if (lengths.includes(schedule.length) && isStart(schedule, ladder)) return ladder.at(-1)!;
  }
  const last = schedule.at(-1);
  if (!last) throw new InputError("bad-schedule", "Cannot use an empty schedule");
  return last;
}

/** Says what a schedule must be that is too long or too large; null if it is neither. */
export function scheduleFault(schedule: readonly Grid[]): string | null {
  if (schedule.length > MOST_SCALES) return `at most ${MOST_SCALES} scales`;
  const tokens = schedule.reduce((sum, [h, w]) => sum + h * w, 0);
  return tokens <= MOST_TOKENS ? null : `at most ${MOST_TOKENS} tokens in all`;
}

/** @throws {InputError} `bad-value`: the schedule is empty, too large, or a size is not a positive integer. */
export function checkSchedule(schedule: readonly Grid[]): void {
  const odd = schedule.find((grid) => grid.some((n) => !Number.isInteger(n) || n < 1));
  const large = scheduleFault(schedule);
  if (schedule.length > 0 && !odd && large === null) return;
  const what = odd
    ? `a scale of ${odd.join("x")}`
    : large === null
    ? "an empty schedule"
    : `a schedule of ${schedule.length} scales`;
  const need = odd || large === null ? "whole numbers above 0" : large;
  throw new InputError("bad-value", `Cannot use ${what}: give ${need}`);
}

/** Converts a schedule from tokens to positions of the VAE; with patchify a token is a square of four positions. */
export function vaeSchedule({ transformer }: ModelConfig, schedule: readonly Grid[]): Grid[] {
  const p = transformer.apply_spatial_patchify ? 2 : 1;
  return schedule.map(([h, w]) => [h * p, w * p]);
}

/**
 * Returns the schedule that encodes an image of a size: the official one of the nearest shape, as large as the model's
 * own; the model's own if it was not trained on official sizes.
 *
 * @param width Pixels across, above 0.
 * @param height Pixels down.
 */
export function scheduleForImage(
  config: ModelConfig,
  width: number,
  height: number,
): readonly Grid[] {
  const own = scheduleForSize(config);
  if (!config.pixel_budgets) return own;
  const pixels = PIXEL_BUDGETS.find((pixels) => LENGTHS[pixels] === own.length);
  return pixels ? schedules(nearestRatio(height / width), pixels) : own;
}

/**
 * Returns the sizes in pixels of the images that a model learns from: of each official shape, as large as its own; or its
 * own alone, if it was not trained on official sizes.
 */
export function imageSizes(
  config: ModelConfig,
): { readonly width: number; readonly height: number }[] {
  const { image: { width, height }, scale_schedule: own, pixel_budgets: budgets } = config;
  const pixels = PIXEL_BUDGETS.find((pixels) => LENGTHS[pixels] === own.length);
  if (!budgets || !pixels) return [{ width, height }];
  return RATIOS.map((ratio) => {
    const { width, height } = officialSize(config, ratio, pixels);
    return { width, height };
  });
}

/** Pixels per token, each way. */
function tokenPixels({ vae, transformer }: ModelConfig): number {
  return vae.patch_size * (transformer.apply_spatial_patchify ? 2 : 1);
}

/** An official schedule, with the size of its images in pixels. */
interface OfficialSize {
  readonly ratio: number;
  readonly pixels: PixelBudget;
  readonly schedule: readonly Grid[];
  readonly width: number;
  readonly height: number;
}

/**
 * Returns the schedule that makes an image of a size. A model that was trained on official sizes (`pixel_budgets`)
 * takes any size and makes the nearest official one; every other model makes its own size only.
 *
 * @param width Pixels across; without both sizes the model's own schedule is returned.
 * @param height Pixels down.
 * @param warn Called with one line if the size differs from what was asked for, and with one line if the model was not
 * trained for it.
 * @throws {InputError} `bad-size`: the model cannot make this size; the message lists those it can.
 */
export function scheduleForSize(
  config: ModelConfig,
  width?: number,
  height?: number,
  warn: (line: string) => void = () => {},
): readonly Grid[] {
  const own = config.scale_schedule.map(([, h, w]): Grid => [h, w]);
  if (width === undefined && height === undefined) return own;
  if (width === undefined || height === undefined) {
    const given = width === undefined ? `height ${height}` : `width ${width}`;
    throw new InputError("bad-size", `Cannot use ${given} alone: give both width and height`);
  }
  const { image, name } = config;
  if (width === image.width && height === image.height) return own;
  const wanted = `${width}x${height}`;
  if (!(width > 0 && height > 0 && width < Infinity && height < Infinity)) {
    throw new InputError("bad-size", `Cannot make ${wanted} pixels: both must be above 0`);
  }
  if (!config.pixel_budgets) {
    throw new InputError(
      "bad-size",
      `Cannot make ${wanted} pixels: ${name} was trained at ${image.width}x${image.height} only; ` +
        "to try another size anyway, give a schedule",
    );
  }
  const found = nearestOfficial(config, width, height);
  const size = `${found.width}x${found.height}`;
  if (size !== wanted) warn(`Using ${size}, the official size nearest to ${wanted}`);
  if (!config.pixel_budgets.includes(found.pixels)) {
    const trained = config.pixel_budgets.map((pixels) => officialSize(config, found.ratio, pixels));
    const better = trained.map(({ width, height }) => `${width}x${height}`).join(" or ");
    warn(`${name} was not trained for ${size}: images may be poor; use ${better}`);
  }
  return found.schedule;
}

function officialSize(config: ModelConfig, ratio: number, pixels: PixelBudget): OfficialSize {
  const schedule = schedules(ratio, pixels);
  const [h, w] = schedule.at(-1)!;
  const scale = tokenPixels(config);
  return { ratio, pixels, schedule, width: w * scale, height: h * scale };
}

/** The official size that equals the one wanted, else the nearest in area of the nearest ratio. */
function nearestOfficial(config: ModelConfig, width: number, height: number): OfficialSize {
  const usable = (ratio: number) =>
    PIXEL_BUDGETS.map((pixels) => officialSize(config, ratio, pixels))
      .filter(({ schedule }) => schedule.length <= config.transformer.lvl_embed_rows);
  const exact = RATIOS.flatMap(usable).find((size) =>
    size.width === width && size.height === height
  );
  if (exact) return exact;
  // areas differ by factors, not by amounts
  const distance = (size: OfficialSize) =>
    Math.abs(Math.log(size.width * size.height / (width * height)));
  const [found] = usable(nearestRatio(height / width)).sort((a, b) => distance(a) - distance(b));
  if (found) return found;
  const { image } = config;
  throw new InputError(
    "bad-size",
    `Cannot make ${width}x${height} pixels: use ${image.width}x${image.height}`,
  );
}
