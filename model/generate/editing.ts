/**
 * Editing: forces some bits of an image and samples the others. Whole scales are forced as `gt_leak` does in the
 * official infinity/models/infinity.py, tokens under a mask as in VAR (arXiv 2404.02905, section 5.3).
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
import { isOpenImage, type OpenImage, openImage } from "../image/read_image.ts";
import { fitMask } from "../image/resize.ts";

/** The image to start from, and which parts of it may change. */
export interface EditOptions {
  /** The image to edit, or its bits. */
  readonly init?: ImageInput | ImageBits;
  /**
   * Share of the scales to sample again, counted from the last and rounded up: 0 reconstructs the image, 1 keeps
   * nothing. If absent, 0.75, or 1 with a mask.
   */
  readonly strength?: number;
  /** Number of scales to keep, counted from the first, in place of `strength`. */
  readonly keepScales?: number;
  /**
   * An image of the same size as `init`: white parts may change, black parts stay. A token is sampled only if all
   * positions that it affects lie in the mask, so codes outside the mask are exactly those of `init`.
   */
  readonly mask?: Uint8Array | OpenImage | Image;
}

/** Options that select a schedule. */
interface Sizes {
  readonly width?: number;
  readonly height?: number;
  readonly schedule?: readonly Grid[];
}

/** A checked edit. */
export interface EditPlan {
  /** The image, or its bits. */
  readonly init: Exclude<ImageInput, Uint8Array> | ImageBits;
  /** Grids of the scales in tokens. */
  readonly schedule: readonly Grid[];
  /** Number of scales of which all bits are kept, counted from the first. */
  readonly keepScales: number;
  /** For each token of each scale, whether it may be sampled; all may if absent. */
  readonly free?: readonly (readonly boolean[])[];
  /** What of the files was changed or not applied. */
  readonly warnings: readonly string[];
}

/** Default of {@link EditOptions.strength}, as in stable-diffusion.cpp. */
const STRENGTH = 0.75;

function refuse(code: string, message: string): never {
  throw new InputError(code, message);
}

/**
 * Checks an edit against the model's config, without weights. Returns null if there is no image to edit.
 *
 * @throws {InputError} An option is out of range, the mask has another size than the image, or the bits belong to
 * another model or schedule.
 * @throws {FileError} The image or the mask cannot be decoded.
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
    ? await openImage(options.init, "image")
    : options.init;
  const schedule = isBits(init)
    ? scheduleOfBits(config, init, options)
    : scheduleOfImage(config, init, options);
  const available = isBits(init) ? init.scales.length : schedule.length;
  const keepScales = keptScales(options, schedule.length, available);
  const warnings = isOpenImage(init) ? init.warnings : [];
  if (!mask) return { init, schedule, keepScales, warnings };
  const latent = vaeSchedule(config, schedule).at(-1)!;
  const patchify = Boolean(config.transformer.apply_spatial_patchify);
  checkInput(mask, "mask with");
  const area = mask instanceof Uint8Array ? await openImage(mask, "mask") : mask;
  const positions = await freePositions(area, init, latent, config.vae.patch_size);
  const free = schedule.map((grid) => freeTokens(positions, latent, grid, patchify));
  const anyFree = positions.includes(true) && free.slice(keepScales).flat().includes(true);
  if (keepScales < schedule.length && !anyFree) {
    refuse("empty-mask", "Cannot edit: the white part of the mask covers no position of the image");
  }
  const all = isOpenImage(area) ? [...warnings, ...area.warnings] : warnings;
  return { init, schedule, keepScales, free, warnings: all };
}

/** The schedule in tokens that an image is encoded with. */
function scheduleOfImage(
  config: ModelConfig,
  image: Exclude<ImageInput, Uint8Array>,
  options: Sizes,
): readonly Grid[] {
  const schedule = options.schedule && vaeSchedule(config, options.schedule);
  const plan = planEncode(config, image, { ...options, schedule });
  const positionsPerToken = config.transformer.apply_spatial_patchify ? 2 : 1;
  return plan.schedule.map(([h, w]): Grid => [h / positionsPerToken, w / positionsPerToken]);
}

/** Turns an image into bits: {@link InfinityModel.encode}. */
export type Encode = (image: ImageInput, options: EncodeOptions) => Promise<ImageBits>;

/** A generation whose options were checked. */
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
 * The bits to force, the same in each image of the batch: by scale [images, h, w, d] of tokens, {@link FREE} where a
 * bit is sampled.
 *
 * @param bits The bits of {@link EditPlan.init}.
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
    const freeTokens = s < keepScales ? [] : free![s]!;
    const D = tokens.length / freeTokens.length;
    freeTokens.forEach((isFree, token) => {
      if (isFree) tokens.fill(FREE, token * D, (token + 1) * D);
    });
    const all = new Uint8Array(images * tokens.length);
    for (let i = 0; i < images; i++) all.set(tokens, i * tokens.length);
    return all;
  });
}

/** The schedule in tokens that begins with the scales of an image's bits. */
function scheduleOfBits(config: ModelConfig, bits: ImageBits, options: Sizes): readonly Grid[] {
  checkBits(config, bits);
  const requested = options.schedule ?? scheduleFor(config, bits, options);
  const grids = vaeSchedule(config, requested);
  const sameStart = bits.schedule.every((grid, s) => grids[s]?.join() === grid.join());
  const sameSize = grids.at(-1)?.join() === bits.latent.join();
  if (sameStart && sameSize) return requested;
  const has = `${scheduleText(bits.schedule)} of ${gridText(bits.latent)} positions`;
  return refuse(
    "other-bits",
    `Cannot edit ${quote(bits.name ?? "bits")}: it has the scales ${has}, the requested schedule ` +
      `is ${scheduleText(grids)}`,
  );
}

/** The schedule of a requested size, or that of the bits, completed if they are the first scales alone. */
function scheduleFor(config: ModelConfig, bits: ImageBits, { width, height }: Sizes) {
  if (width !== undefined || height !== undefined) return scheduleForSize(config, width, height);
  const complete = bits.schedule.at(-1)!.join() === bits.latent.join();
  if (!complete) return scheduleForSize(config, bits.width, bits.height);
  const positionsPerToken = config.transformer.apply_spatial_patchify ? 2 : 1;
  return bits.schedule.map(([h, w]): Grid => [h / positionsPerToken, w / positionsPerToken]);
}

/** Number of scales to keep, of which `available` have bits. */
function keptScales(
  { strength, keepScales, mask }: EditOptions,
  scales: number,
  available: number,
): number {
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
  // rounds up, except for a rounding error of the product
  const sampled = Math.ceil((strength ?? (mask ? 1 : STRENGTH)) * scales - 1e-9);
  const kept = keepScales ?? scales - sampled;
  if (kept > available || (mask && available < scales)) {
    const need = mask ? `a mask needs all ${scales}` : `the edit keeps ${kept}`;
    refuse("too-few-scales", `Cannot edit: the image's bits have ${available} scales, ${need}`);
  }
  return kept;
}

/** For each position of the VAE [H, W], whether at least half of its pixels lie in the mask. */
async function freePositions(
  mask: OpenImage | Image,
  init: EditPlan["init"],
  [H, W]: Grid,
  patch: number,
): Promise<boolean[]> {
  if (mask.width !== init.width || mask.height !== init.height) {
    refuse(
      "other-size",
      `Cannot use a mask of ${mask.width}x${mask.height} pixels: the image has ` +
        `${init.width}x${init.height}, make them the same`,
    );
  }
  const [width, height] = [W * patch, H * patch];
  const covered = isOpenImage(mask)
    ? await mask.fitMask(width, height)
    : await fitMask(mask, width, height);
  return Array.from({ length: H * W }, (_, position) => {
    const [top, left] = [Math.floor(position / W) * patch, position % W * patch];
    let sum = 0;
    for (let y = top; y < top + patch; y++) {
      for (let x = left; x < left + patch; x++) sum += covered[y * W * patch + x]!;
    }
    return sum >= patch ** 2 / 2;
  });
}

/**
 * For each token of a scale, whether its codes, resized linearly, affect no position outside the mask.
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

/** For each of `cells` cells, the first and the last of `size` positions that linear resizing computes from it. */
function reaches(cells: number, size: number): [first: number, last: number][] {
  const reach = Array.from({ length: cells }, (): [number, number] => [size, -1]);
  for (let i = 0; i < size; i++) {
    // as in kernels/bits/resize_linear.wgsl: integers in units of 1 / (2 · size)
    const position = Math.max((2 * i + 1) * cells, size) - size;
    const low = Math.min(Math.floor(position / (2 * size)), cells - 1);
    const high = position % (2 * size) ? Math.min(low + 1, cells - 1) : low;
    for (const cell of [low, high]) {
      reach[cell] = [Math.min(reach[cell]![0], i), Math.max(reach[cell]![1], i)];
    }
  }
  return reach;
}

/** The first and the last position that `count` cells from `first` affect. */
function span(reach: readonly [number, number][], first: number, count: number): [number, number] {
  const some = reach.slice(first, first + count);
  return [Math.min(...some.map(([low]) => low)), Math.max(...some.map(([, high]) => high))];
}
