/**
 * Checks images and bits against a model's config. Uses no GPU.
 *
 * @module
 */

import { InputError, quote, type TensorToWrite } from "../../../engine/mod.ts";
import { checkImageBits, checkScaleCount, type ImageBits } from "../../bits/image_bits.ts";
import type { Grid } from "../../config/grid.ts";
import {
  checkSchedule,
  scheduleForImage,
  scheduleForSize,
  vaeSchedule,
} from "../../config/schedule.ts";
import type { ModelConfig } from "../../config/types.ts";
import { checkShape, isBytes } from "../../image/base/shape.ts";
import type { Image } from "../../image/png.ts";
import { isOpenImage, type OpenImage } from "../../image/read_image.ts";

/** An image of floats, channels first, as PyTorch code holds it. */
export interface FloatImage {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** [3, height, width], red, green and blue from −1 to 1. */
  readonly rgb: Float32Array;
}

/** An image to encode: a PNG, JPEG or WebP file, open or not, 8-bit RGBA, or floats, which are not resized. */
export type ImageInput = Uint8Array | OpenImage | Image | FloatImage;

/** How to encode an image. By default its aspect ratio selects the schedule. */
export interface EncodeOptions {
  /** Width in pixels; selects a schedule together with `height`. The image is resized to cover it and cropped. */
  readonly width?: number;
  /** Height in pixels. */
  readonly height?: number;
  /** Grids of the scales in positions of the VAE, coarse to fine, in place of a size. */
  readonly schedule?: readonly Grid[];
  /** Number of scales to return, counted from the first; all if absent. */
  readonly scales?: number;
  /** Receives `features` [1, d, h, w], `scale{i}.bits` u8 [1, h, w, d] and `z` [1, d, h, w], the sum of the codes. */
  readonly trace?: (tensors: TensorToWrite[]) => void;
  /** The most pixels that the bytes of a file may claim to have; 2^27 by default. */
  readonly maxPixels?: number;
  /** Receives what of a file was changed or not applied, such as a colour profile, in one line each. */
  readonly onWarning?: (line: string) => void;
  /** Stops encoding, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How an image will be encoded. */
export interface EncodePlan {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Grids of the scales in positions of the VAE. */
  readonly schedule: readonly Grid[];
}

/**
 * Checks that a value is an image, for callers without a type checker.
 *
 * @param verb What the caller does with it, for the message.
 * @throws {InputError} `not-an-image`, or `image-shape`: its size does not match its pixels.
 */
export function checkInput(value: unknown, verb: string): asserts value is ImageInput {
  if (value instanceof Uint8Array || isOpenImage(value)) return;
  const refuse = (what: string, advice: string): never => {
    throw new InputError("not-an-image", `Cannot ${verb} ${what}: ${advice}`);
  };
  if (typeof value === "string" || value instanceof URL) {
    const path = quote(`${value}`);
    refuse(path, "read the file first, and give its bytes");
  }
  const { rgba, rgb } = (value ?? {}) as Record<string, unknown>;
  if (!(isBytes(rgba) || rgb instanceof Float32Array)) {
    const name = value === undefined || value === null
      ? `${value}`
      : value.constructor?.name ?? "Object";
    refuse(name, "give the bytes of a PNG, JPEG or WebP file, or { width, height, rgba }");
  }
  checkShape(verb, value, isBytes(rgba) ? "rgba" : "rgb");
  if (isBytes(rgba) || (rgb as Float32Array).every(Number.isFinite)) return;
  throw new InputError(
    "not-finite",
    `Cannot ${verb} an image that holds NaN or infinity: its values go from -1 to 1`,
  );
}

/** Whether an image is of floats: bytes go first, if it has both. */
export function isFloatImage(image: Exclude<ImageInput, Uint8Array>): image is FloatImage {
  return "rgb" in image && !("rgba" in image && isBytes(image.rgba));
}

/** Whether a value is bits, which {@link checkBits} checks further. */
export function isBits(value: unknown): value is ImageBits {
  return typeof value === "object" && value !== null && "scales" in value;
}

/** Selects the size and the scales that an image is encoded in. @throws {InputError} They do not fit the model. */
export function planEncode(
  config: ModelConfig,
  image: Image | FloatImage | OpenImage,
  options: EncodeOptions,
): EncodePlan {
  const { patch_size: patch } = config.vae;
  const given = isFloatImage(image) ? image : null;
  const { width = given?.width, height = given?.height } = options;
  const schedule = options.schedule ??
    vaeSchedule(
      config,
      width === undefined && height === undefined
        ? scheduleForImage(config, image.width, image.height)
        : scheduleForSize(config, width, height),
    );
  checkSchedule(schedule);
  const [h, w] = schedule.at(-1)!;
  const size = given ?? { width: w * patch, height: h * patch };
  if (size.width % patch || size.height % patch) {
    throw new InputError(
      "image-shape",
      `Cannot encode ${size.width}x${size.height} pixels: both sides must be multiples of ${patch}`,
    );
  }
  if (given && !options.schedule && (w * patch !== size.width || h * patch !== size.height)) {
    throw new InputError(
      "image-shape",
      `Cannot encode ${size.width}x${size.height} pixels: ${config.name} has no schedule for ` +
        "that size, give one in positions of the VAE",
    );
  }
  if (options.scales !== undefined) checkScaleCount(options.scales, schedule.length);
  return { width: size.width, height: size.height, schedule };
}

/**
 * Checks whether a model can decode bits.
 *
 * @throws {InputError} `not-bits`; `other-bits`: they belong to another tokenizer; `bad-bits`: a scale does not match the
 * schedule, or holds other values than 0 and 1.
 */
export function checkBits(config: ModelConfig, bits: ImageBits): void {
  checkImageBits(bits, "decode");
  const { d, width, height, latent: [h, w], name = "bits" } = bits;
  const { name: model, vae: { codebook_dim, patch_size: patch } } = config;
  if (d === codebook_dim && width === w * patch && height === h * patch) return;
  throw new InputError(
    "other-bits",
    `Cannot decode ${quote(name)} with ${model}: it has ${d} bits a position and ${w}x${h} ` +
      `positions for ${width}x${height} pixels, ${model} has ${codebook_dim} bits and ` +
      `${patch}x${patch} pixels a position; use the model it was made with`,
  );
}

/** Converts floats from −1 to 1 to 8-bit RGBA, rounded, from [height, width, 3] or planes [3, height, width]. */
export function imageOf(
  rgb: Float32Array,
  { width, height }: { readonly width: number; readonly height: number },
  layout: "pixels" | "planes",
): Image {
  const count = width * height;
  const rgba = new Uint8Array(4 * count).fill(255);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) {
      const value = rgb[layout === "pixels" ? 3 * i + c : c * count + i]!;
      rgba[4 * i + c] = Math.round(Math.min(1, Math.max(0, (value + 1) / 2)) * 255);
    }
  }
  return { width, height, rgba };
}
