/**
 * Editing with bits: some of an image's bits are forced while the rest is drawn (`gt_leak` in
 * infinity/models/infinity.py, scale by scale; masks as in VAR, arXiv 2404.02905, section 5.3, token by token).
 *
 * @module
 */

import { InputError, quote } from "../../engine/mod.ts";
import { FREE } from "../../kernels/bits/force_bits.ts";
import { type ImageBits, tokensOfBits } from "../bits/image_bits.ts";
import { type Grid, gridText, scheduleText } from "../config/grid.ts";
import { scheduleForSize, vaeSchedule } from "../config/schedule.ts";
import type { ModelConfig } from "../config/types.ts";
import {
  checkBits,
  checkInput,
  type EncodeOptions,
  type ImageInput,
  isBits,
  planEncode,
} from "./image_input.ts";
import type { Plan } from "./plan.ts";
import type { Image } from "../image/png.ts";
import { readImage } from "../image/read_image.ts";
import { fitMask } from "../image/resize.ts";

/** Which image to start from, and what may change of it. */
export interface EditOptions {
  /** The image to edit, or its bits. */
  readonly init?: ImageInput | ImageBits;
  /**
   * How much of it is drawn anew, from 0 (nothing: its reconstruction) to 1 (all): the last scales, rounded up. 0.75 if
   * absent, or with a mask 1.
   */
  readonly strength?: number;
  /** How many of its first scales are kept, in place of `strength`. */
  readonly keepScales?: number;
  /**
   * What may change: white is drawn, black stays. As large as the image. A token is drawn where all that it reaches
   * of the image's positions lies in the mask, so the codes outside are the image's, exactly.
   */
  readonly mask?: Uint8Array | Image;
}

/** Sizes that a call may ask for. */
interface Sizes {
  readonly width?: number;
  readonly height?: number;
  readonly schedule?: readonly Grid[];
}

/** An edit that was checked: what is known without a GPU. */
export interface EditPlan {
  /** The image, or its bits. */
  readonly init: Exclude<ImageInput, Uint8Array> | ImageBits;
  /** Grids of the scales in tokens. */
  readonly schedule: readonly Grid[];
  /** How many of the first scales are kept whole. */
  readonly keepScales: number;
  /** Tokens of each scale that are drawn behind those; all of them if absent. */
  readonly free?: readonly (readonly boolean[])[];
}

/** What {@link EditOptions.strength} is if nothing is said: stable-diffusion.cpp's default. */
const STRENGTH = 0.75;

function refuse(code: string, message: string): never {
  throw new InputError(code, message);
}

/**
 * Checks an edit against the model, before anything is loaded; `null` if there is no image to edit.
 *
 * @throws {InputError} one line: an option out of range, a mask of another size, bits of another model or schedule.
 * @throws {FileError} bytes that are no image.
 */
export async function planEdit(
  config: ModelConfig,
  options: EditOptions & Sizes,
): Promise<EditPlan | null> {
  const { mask } = options;
  if (options.init === undefined) {
    const alone = (["mask", "strength", "keepScales"] as const).find((key) =>
      options[key] !== undefined
    );
    if (alone) refuse("no-image", `Cannot use ${alone} without an image to start from`);
    return null;
  }
  if (!isBits(options.init)) checkInput(options.init, "edit");
  const init = options.init instanceof Uint8Array
    ? await readImage(options.init, "image")
    : options.init;
  const p = config.transformer.apply_spatial_patchify ? 2 : 1;
  let schedule: readonly Grid[];
  if ("scales" in init) {
    checkBits(config, init);
    schedule = scheduleOf(config, init, options);
  } else {
    const whole = options.schedule && vaeSchedule(config, options.schedule);
    const plan = planEncode(config, init, { ...options, schedule: whole });
    schedule = plan.schedule.map(([h, w]): Grid => [h / p, w / p]);
  }
  const there = "scales" in init ? init.scales.length : schedule.length;
  const keepScales = keptScales(options, schedule.length, there);
  if (!mask) return { init, schedule, keepScales };
  const latent = vaeSchedule(config, schedule).at(-1)!;
  const positions = await freePositions(mask, init, latent, config.vae.patch_size);
  const free = schedule.map((grid) => freeTokens(positions, latent, grid, p === 2));
  const draws = positions.includes(true) && free.slice(keepScales).flat().includes(true);
  if (keepScales < schedule.length && !draws) {
    refuse("empty-mask", "Cannot draw: the mask is white over no whole position of the image");
  }
  return { init, schedule, keepScales, free };
}

/** Turns an image into bits: {@link InfinityModel.encode}. */
export type Encode = (image: ImageInput, options: EncodeOptions) => Promise<ImageBits>;

/** A generation that was checked against a model's config. */
export interface GenerationPlan {
  /** Options with all defaults filled in. */
  readonly plan: Plan;
  /** The edit, if there is an image to start from. */
  readonly edit: EditPlan | null;
}

/**
 * Encodes the image that an edit starts from, unless it is bits already, and forces what is kept of it.
 *
 * @returns The plan with the bits to force.
 */
export async function forceInit(
  config: ModelConfig,
  { plan, edit }: GenerationPlan,
  encode: Encode,
  signal?: AbortSignal,
): Promise<Plan> {
  // where nothing is kept, the image need not be encoded
  if (!edit || (edit.keepScales === 0 && !edit.free)) return plan;
  const { init, schedule } = edit;
  const bits = isBits(init)
    ? init
    : await encode(init, { schedule: vaeSchedule(config, schedule), signal });
  return { ...plan, forceBits: forcedBits(config, edit, bits, plan.images) };
}

/**
 * What is forced of an image, the same in each image: by scale [images, h, w, d] of tokens, {@link FREE} where bits
 * are drawn.
 *
 * @param bits All that {@link EditPlan.init} has.
 */
function forcedBits(
  config: ModelConfig,
  { schedule, keepScales, free }: EditPlan,
  bits: ImageBits,
  images: number,
): (Uint8Array | undefined)[] {
  const patchify = Boolean(config.transformer.apply_spatial_patchify);
  return vaeSchedule(config, schedule).map((grid, s) => {
    if (s >= keepScales && !free) return undefined;
    const tokens = tokensOfBits(bits.scales[s]!, grid, bits.d, patchify);
    const drawn = s < keepScales ? [] : free![s]!;
    const D = tokens.length / drawn.length;
    drawn.forEach((isFree, token) => {
      if (isFree) tokens.fill(FREE, token * D, (token + 1) * D);
    });
    const all = new Uint8Array(images * tokens.length);
    for (let i = 0; i < images; i++) all.set(tokens, i * tokens.length);
    return all;
  });
}

/** The schedule in tokens whose first scales an image's bits are. */
function scheduleOf(config: ModelConfig, bits: ImageBits, options: Sizes): readonly Grid[] {
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
  const has = `${scheduleText(bits.schedule)} of ${gridText(bits.latent)} positions`;
  return refuse(
    "other-bits",
    `Cannot edit ${
      quote(bits.name ?? "bits")
    }: it has the scales ${has}, the schedule to draw is ` +
      scheduleText(tokens),
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
    refuse("too-few-scales", `Cannot edit: the image's bits have ${there} scales, ${need}`);
  }
  return kept;
}

/** Which positions of the VAE may change: those that lie in the mask by half or more. */
async function freePositions(
  mask: Uint8Array | Image,
  init: EditPlan["init"],
  [H, W]: Grid,
  patch: number,
): Promise<boolean[]> {
  checkInput(mask, "mask with");
  const image = mask instanceof Uint8Array ? await readImage(mask, "mask") : mask;
  if (image.width !== init.width || image.height !== init.height) {
    refuse(
      "other-size",
      `Cannot use a mask of ${image.width}x${image.height} pixels: the image has ` +
        `${init.width}x${init.height}, make them the same`,
    );
  }
  const covered = fitMask(image, W * patch, H * patch);
  return Array.from({ length: H * W }, (_, at) => {
    const [top, left] = [Math.floor(at / W) * patch, at % W * patch];
    let sum = 0;
    for (let y = top; y < top + patch; y++) {
      for (let x = left; x < left + patch; x++) sum += covered[y * W * patch + x]!;
    }
    return sum >= patch ** 2 / 2;
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
    // as kernels/bits/resize_linear.wgsl: whole numbers in units of 1 / (2 · size)
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
