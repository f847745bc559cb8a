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
  isFloatImage,
  planEncode,
} from "./images/image_input.ts";
import { clearPositions, freeTokens, maskedPositions } from "./images/mask.ts";
import type { Plan } from "./plan/plan.ts";
import type { Image } from "../image/png.ts";
import { isOpenImage, type OpenImage, openImage } from "../image/read_image.ts";

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
   * positions that it affects lie in the mask, so codes outside the mask are exactly those of `init`. If absent, the
   * transparent parts of `init` (alpha below 128) may change, unless all of it is transparent. They are read as white,
   * whatever colour lies under them.
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
  const warnings = isOpenImage(init) ? [...init.warnings] : [];
  const latent = vaeSchedule(config, schedule).at(-1)!;
  const patch = config.vae.patch_size;
  const freeOf = (positions: readonly boolean[]) =>
    schedule.map((grid) =>
      freeTokens(positions, latent, grid, Boolean(config.transformer.apply_spatial_patchify))
    );
  // a file that is corrupt is refused before any weights are read
  if (isOpenImage(init)) await init.fit(latent[1] * patch, latent[0] * patch);
  if (!mask) {
    const clear = isBits(init) ? null : await clearPositions(init, latent, patch);
    const free = clear && freeOf(clear);
    const masked = free !== null && free.flat().includes(true);
    const keepScales = keptScales(options, masked, schedule.length, available);
    if (!masked) return { init, schedule, keepScales, warnings };
    warnings.push("Only the transparent parts of the image are drawn: they are its mask");
    return { init, schedule, keepScales, free, warnings };
  }
  const keepScales = keptScales(options, true, schedule.length, available);
  checkInput(mask, "mask with");
  if (!(mask instanceof Uint8Array) && isFloatImage(mask)) {
    refuse("not-an-image", "Cannot mask with floats: give 8-bit RGBA, or the bytes of a file");
  }
  const area = mask instanceof Uint8Array ? await openImage(mask, "mask") : mask;
  if (isOpenImage(area)) warnings.push(...area.warnings);
  const free = freeOf(await maskedPositions(area, init, latent, patch));
  if (keepScales < schedule.length && !free.slice(keepScales).flat().includes(true)) {
    refuse("empty-mask", "Cannot edit: the white part of the mask covers no position of the image");
  }
  return { init, schedule, keepScales, free, warnings };
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
  { strength, keepScales }: EditOptions,
  masked: boolean,
  scales: number,
  available: number,
): number {
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
  const sampled = Math.ceil((strength ?? (masked ? 1 : STRENGTH)) * scales - 1e-9);
  const kept = keepScales ?? scales - sampled;
  if (kept > available || (masked && available < scales)) {
    const need = masked ? `a mask needs all ${scales}` : `the edit keeps ${kept}`;
    refuse("too-few-scales", `Cannot edit: the image's bits have ${available} scales, ${need}`);
  }
  return kept;
}
