/**
 * Editing with bits: some of a picture's bits are forced while the rest is drawn (`gt_leak` in
 * infinity/models/infinity.py, scale by scale; masks as in VAR, arXiv 2404.02905, section 5.3, token by token).
 *
 * @module
 */

import { InputError } from "../engine/errors.ts";
import { FREE } from "../kernels/force_bits.ts";
import type { ModelConfig } from "./config.ts";
import { readPicture } from "./picture.ts";
import { gridText, type PictureBits, scheduleText, tokensOfBits } from "./picture_bits.ts";
import type { Picture } from "./png.ts";
import { fitMask } from "./resize.ts";
import { scheduleForSize, vaeSchedule } from "./schedule.ts";
import type { Grid } from "./transformer.ts";
import type { PictureInput, VisualTokenizer } from "./visual_tokenizer.ts";

/** Which picture to start from, and what may change of it. */
export interface EditOptions {
  /** The picture to edit, or its bits. */
  readonly init?: PictureInput | PictureBits;
  /**
   * How much of it is drawn anew, from 0 (nothing: its reconstruction) to 1 (all): the last scales, rounded up. 0.75 if
   * absent, or with a mask 1.
   */
  readonly strength?: number;
  /** How many of its first scales are kept, in place of `strength`. */
  readonly keepScales?: number;
  /**
   * What may change: white is drawn, black stays. As large as the picture. A token is drawn where all that it reaches
   * of the picture's positions lies in the mask, so the codes outside are the picture's, exactly.
   */
  readonly mask?: Uint8Array | Picture;
}

/** Sizes that a call may ask for. */
interface Sizes {
  readonly width?: number;
  readonly height?: number;
  readonly schedule?: readonly Grid[];
  readonly signal?: AbortSignal;
}

/** What stays of a picture. */
export interface Edit {
  /** Grids of the scales in tokens. */
  readonly schedule: readonly Grid[];
  /** Bits of one image by scale, [h, w, d] of tokens; 2 is drawn. */
  readonly forceBits: readonly (Uint8Array | undefined)[];
  /** How many of the first scales are kept whole. */
  readonly keepScales: number;
}

/** What {@link EditOptions.strength} is if nothing is said: stable-diffusion.cpp's default. */
const STRENGTH = 0.75;

function refuse(code: string, message: string): never {
  throw new InputError(code, message);
}

/**
 * Turns what is to stay of a picture into bits that are forced.
 *
 * @throws {InputError} one line: an option out of range, a mask of another size, bits of another model or schedule.
 */
export async function planEdit(
  config: ModelConfig,
  tokenizer: VisualTokenizer,
  options: EditOptions & Sizes,
): Promise<Edit | null> {
  const { mask } = options;
  if (options.init === undefined) {
    const alone = (["mask", "strength", "keepScales"] as const).find((key) =>
      options[key] !== undefined
    );
    if (alone) refuse("no-picture", `Cannot use ${alone} without a picture to start from`);
    return null;
  }
  const init = options.init instanceof Uint8Array
    ? await readPicture(options.init, "picture")
    : options.init;
  const bits = "scales" in init ? init : await tokenizer.encode(init, {
    ...options,
    schedule: options.schedule && vaeSchedule(config, options.schedule),
  });
  tokenizer.check(bits);
  const schedule = scheduleOf(config, bits, options);
  const keepScales = keptScales(options, schedule.length, bits.scales.length);
  const free = mask && await freePositions(mask, init, bits);
  const { d } = bits;
  const patchify = Boolean(config.transformer.apply_spatial_patchify);
  const forceBits = vaeSchedule(config, schedule).map((grid, s) => {
    const given = bits.scales[s];
    if (s < keepScales) return tokensOfBits(given!, grid, d, patchify);
    if (!free) return undefined;
    const tokens = tokensOfBits(given!, grid, d, patchify);
    const D = patchify ? 4 * d : d;
    freeTokens(free, bits.latent, schedule[s]!, patchify).forEach((drawn, token) => {
      if (drawn) tokens.fill(FREE, token * D, (token + 1) * D);
    });
    return tokens;
  });
  if (free && keepScales < schedule.length && !forceBits.some((given) => given?.includes(FREE))) {
    refuse(
      "empty-mask",
      "Cannot draw: the mask is nowhere white over a whole position of the picture",
    );
  }
  return { schedule, forceBits, keepScales };
}

/** The schedule in tokens whose first scales a picture's bits are. */
function scheduleOf(config: ModelConfig, bits: PictureBits, options: Sizes): readonly Grid[] {
  const p = config.transformer.apply_spatial_patchify ? 2 : 1;
  const whole = bits.schedule.at(-1)!.join() === bits.latent.join();
  const asked = options.schedule ??
    (options.width !== undefined || options.height !== undefined
      ? scheduleForSize(config, options.width, options.height)
      : whole
      ? bits.schedule.map(([h, w]): Grid => [h / p, w / p])
      : scheduleForSize(config, bits.width, bits.height));
  const tokens = vaeSchedule(config, asked);
  const begins = bits.schedule.every((grid, s) => tokens[s]?.join() === grid.join());
  const size = tokens.at(-1)?.join() === bits.latent.join();
  if (begins && size) return asked;
  return refuse(
    "other-bits",
    `Cannot edit: the picture's bits have the scales ${scheduleText(bits.schedule)} of ` +
      `${gridText(bits.latent)} positions, the schedule to draw is ${scheduleText(tokens)}`,
  );
}

function keptScales({ strength, keepScales, mask }: EditOptions, scales: number, there: number) {
  if (strength !== undefined && keepScales !== undefined) {
    refuse("bad-value", "Cannot use both strength and keepScales: give one of them");
  }
  if (strength !== undefined && !(strength >= 0 && strength <= 1)) {
    refuse("bad-value", `Cannot use strength ${strength}: it must be from 0 to 1`);
  }
  if (keepScales !== undefined && !(keepScales >= 0 && keepScales <= scales)) {
    refuse("bad-value", `Cannot keep ${keepScales} scales: the schedule has ${scales}`);
  }
  if (keepScales !== undefined && !Number.isInteger(keepScales)) {
    refuse("bad-value", `Cannot keep ${keepScales} scales: give a whole number`);
  }
  // what is a whole number but for rounding is that number
  const drawn = Math.ceil((strength ?? (mask ? 1 : STRENGTH)) * scales - 1e-9);
  const kept = keepScales ?? scales - drawn;
  if (kept > there || (mask && there < scales)) {
    const need = mask ? `a mask needs all ${scales}` : `${kept} are to be kept`;
    refuse("too-few-scales", `Cannot edit: the picture's bits have ${there} scales, ${need}`);
  }
  return kept;
}

/** Which positions of the VAE may change: those that lie in the mask by half or more. */
async function freePositions(
  mask: Uint8Array | Picture,
  init: Exclude<PictureInput, Uint8Array> | PictureBits,
  { width, height, latent: [H, W] }: PictureBits,
): Promise<boolean[]> {
  const picture = mask instanceof Uint8Array ? await readPicture(mask, "mask") : mask;
  if (picture.width !== init.width || picture.height !== init.height) {
    refuse(
      "other-size",
      `Cannot use a mask of ${picture.width}x${picture.height} pixels: the picture has ` +
        `${init.width}x${init.height}, make them the same`,
    );
  }
  const covered = fitMask(picture, width, height);
  const p = height / H;
  return Array.from({ length: H * W }, (_, at) => {
    const [top, left] = [Math.floor(at / W) * p, at % W * p];
    let sum = 0;
    for (let y = top; y < top + p; y++) {
      for (let x = left; x < left + p; x++) sum += covered[y * width + x]!;
    }
    return sum >= p * p / 2;
  });
}

/**
 * Which tokens of a scale are drawn: those whose codes, resized linearly, reach no position outside the mask.
 *
 * @param free Positions [H, W] of the VAE that may change.
 */
export function freeTokens(
  free: readonly boolean[],
  [H, W]: Grid,
  [rows, columns]: Grid,
  patchify: boolean,
): boolean[] {
  const p = patchify ? 2 : 1;
  const down = reaches(rows * p, H), across = reaches(columns * p, W);
  return Array.from({ length: rows * columns }, (_, token) => {
    const y = span(down, Math.floor(token / columns) * p, p);
    const x = span(across, token % columns * p, p);
    for (let row = y[0]; row <= y[1]; row++) {
      for (let col = x[0]; col <= x[1]; col++) if (!free[row * W + col]) return false;
    }
    return true;
  });
}

/** For each of `cells` cells, the first and the last of `size` that linear resizing makes with it. */
function reaches(cells: number, size: number): [first: number, last: number][] {
  const reach = Array.from({ length: cells }, (): [number, number] => [size, -1]);
  for (let i = 0; i < size; i++) {
    // as kernels/resize_linear.wgsl: whole numbers in units of 1 / (2 · size)
    const position = Math.max((2 * i + 1) * cells, size) - size;
    const low = Math.min(Math.floor(position / (2 * size)), cells - 1);
    const high = position % (2 * size) ? Math.min(low + 1, cells - 1) : low;
    for (const cell of [low, high]) {
      reach[cell] = [Math.min(reach[cell]![0], i), Math.max(reach[cell]![1], i)];
    }
  }
  return reach;
}

/** All that `count` cells from `first` on reach. */
function span(reach: readonly [number, number][], first: number, count: number): [number, number] {
  const some = reach.slice(first, first + count);
  return [Math.min(...some.map(([low]) => low)), Math.max(...some.map(([, high]) => high))];
}
