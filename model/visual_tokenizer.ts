/**
 * The visual tokenizer in both directions (arXiv 2412.04431, section 3.2): a picture to bits, bits to a picture.
 *
 * @module
 */

import { type Device, InputError, type Tensor } from "../engine/mod.ts";
import type { TensorToWrite } from "../engine/safetensors_writer.ts";
import { checkFinite } from "../kernels/check_finite.ts";
import { rgba8 } from "../kernels/rgba8.ts";
import type { ModelConfig } from "./config.ts";
import { splitImages } from "./generate.ts";
import type { Parts } from "./parts.ts";
import { readPicture } from "./picture.ts";
import {
  bitsOfTokens,
  gridText,
  type PictureBits,
  scheduleText,
  takeScales,
} from "./picture_bits.ts";
import { encodePng, type Picture } from "./png.ts";
import { quantise, sumCodes } from "./quantiser.ts";
import { fitPicture } from "./resize.ts";
import { scheduleForPicture, scheduleForSize, vaeSchedule } from "./schedule.ts";
import { channelsFirst } from "./trace.ts";
import type { Grid } from "./transformer.ts";

/** A picture as numbers, as other implementations hand it over. */
export interface FloatPicture {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** [3, height, width], red, green and blue from −1 to 1. */
  readonly rgb: Float32Array;
}

/** A picture to encode: the bytes of a PNG, JPEG or WebP file, RGBA, or numbers, which are taken as they are. */
export type PictureInput = Uint8Array | Picture | FloatPicture;

/** How to encode a picture; its own shape decides what is not said. */
export interface EncodeOptions {
  /** Pixels across; picks a schedule together with `height`. The picture is resized to cover it, and its middle cut out. */
  readonly width?: number;
  /** Pixels down. */
  readonly height?: number;
  /** Grids of the scales in positions of the VAE, coarse to fine, in place of a size. */
  readonly schedule?: readonly Grid[];
  /** Takes the first scales alone. */
  readonly scales?: number;
  /** Is given `features` [1, d, h, w], `scale{i}.bits` u8 [1, h, w, d] and `z` [1, d, h, w], the sum of the codes. */
  readonly trace?: (tensors: TensorToWrite[]) => void;
  /** Ends it by throwing its reason. */
  readonly signal?: AbortSignal;
}

/** A picture, and its file. */
export interface DecodedPicture extends Readonly<Picture> {
  /** RGBA bytes, row-major. */
  readonly rgba: Uint8Array<ArrayBuffer>;
  /** A PNG file. */
  toPng(): Uint8Array;
}

/** Encodes and decodes pictures with a model's VAE. */
export class VisualTokenizer {
  /** Uses the VAE of `parts`. */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly parts: Parts,
  ) {}

  /** See {@link InfinityModel.encode}. */
  async encode(input: PictureInput, options: EncodeOptions = {}): Promise<PictureBits> {
    const { signal } = options;
    signal?.throwIfAborted();
    const { codebook_dim: d, patch_size: patch } = this.config.vae;
    const picture = input instanceof Uint8Array ? await readPicture(input, "picture") : input;
    const { width, height, schedule } = this.#plan(picture, options);
    const pixels = "rgb" in picture
      ? channelsLast(picture.rgb, 3)
      : fitPicture(picture, width, height);
    using encoder = await this.parts.lease("vae_encoder");
    signal?.throwIfAborted();
    const { device } = this;
    using x = device.from("f32", [1, height, width, 3], pixels, "picture");
    using features = device.allOrNothing(() => encoder.part.encode(x));
    using broken = device.from("u32", [1], Uint32Array.of(0), "check");
    checkFinite(device, { x: features, broken });
    const { bits, sum } = quantise(device, features, schedule);
    try {
      const extra = options.trace ? [features, sum] : [];
      const [check, ...rest] = await device.readAll([broken, ...bits, ...extra]);
      signal?.throwIfAborted();
      if (check![0] !== 0) {
        throw new InputError(
          "not-finite",
          "Cannot encode: the VAE computed NaN or infinity; the picture or the weights hold some, or " +
            "overflow (--type f32 may help)",
        );
      }
      const scales = schedule.map((grid, s) => bitsOfTokens(rest[s]!, 0, grid, d, false));
      const latent: Grid = [height / patch, width / patch];
      const model = this.config.name;
      const made: PictureBits = { width, height, d, latent, schedule, scales, model };
      if (options.trace) {
        const [h, z] = rest.slice(schedule.length) as Float32Array[];
        options.trace(traceOf(made, h!, z!));
      }
      return options.scales === undefined ? made : takeScales(made, options.scales);
    } finally {
      for (const tensor of [sum, ...bits]) tensor.dispose();
    }
  }

  /** The size a picture is encoded in, and its scales. */
  #plan(picture: Picture | FloatPicture, options: EncodeOptions) {
    const { config } = this;
    const { patch_size: patch } = config.vae;
    const given = "rgb" in picture ? picture : null;
    if (given && given.rgb.length !== 3 * given.width * given.height) {
      throw new InputError(
        "picture-shape",
        `Cannot encode ${given.rgb.length} numbers as ${given.width}x${given.height} pixels: ` +
          `three channels are ${3 * given.width * given.height}`,
      );
    }
    const { width = given?.width, height = given?.height } = options;
    const schedule = options.schedule ??
      vaeSchedule(
        config,
        width === undefined && height === undefined
          ? scheduleForPicture(config, picture.width, picture.height)
          : scheduleForSize(config, width, height),
      );
    checkSchedule(schedule);
    const [h, w] = schedule.at(-1)!;
    const size = given ?? { width: w * patch, height: h * patch };
    if (size.width % patch || size.height % patch) {
      throw new InputError(
        "picture-shape",
        `Cannot encode ${size.width}x${size.height} pixels: both sides must be multiples of ${patch}`,
      );
    }
    if (given && !options.schedule && (w * patch !== size.width || h * patch !== size.height)) {
      throw new InputError(
        "picture-shape",
        `Cannot encode ${size.width}x${size.height} pixels: ${config.name} has no schedule for ` +
          "that size, give one in positions of the VAE",
      );
    }
    return { width: size.width, height: size.height, schedule };
  }

  /** Decodes pictures; those of the same scales go through together. */
  async decode(
    pictures: readonly PictureBits[],
    signal?: AbortSignal,
  ): Promise<DecodedPicture[]> {
    signal?.throwIfAborted();
    for (const bits of pictures) this.check(bits);
    const alike = ({ latent, schedule }: PictureBits) =>
      `${gridText(latent)} of ${scheduleText(schedule)}`;
    if (new Set(pictures.map(alike)).size > 1) {
      const made: DecodedPicture[] = [];
      for (const bits of pictures) made.push(...await this.decode([bits], signal));
      return made;
    }
    using vae = await this.parts.lease("vae");
    signal?.throwIfAborted();
    const { device } = this;
    using packed = device.allOrNothing(() => {
      const uploaded = this.#upload(pictures);
      const { schedule, latent } = pictures[0]!;
      using sum = sumCodes(device, uploaded, schedule, latent);
      for (const scale of uploaded) scale.dispose();
      using decoded = vae.part.decode(sum);
      const packed = device.tensor("u32", decoded.shape.slice(0, 3), "RGBA");
      rgba8(device, { x: decoded, y: packed });
      return packed;
    });
    const [, height = 0, width = 0] = packed.shape;
    const rgba = splitImages(await device.read(packed), pictures.length);
    signal?.throwIfAborted();
    return rgba.map((rgba) => ({
      width,
      height,
      rgba,
      toPng: () => encodePng(rgba, width, height),
    }));
  }

  /** The bits of each scale [B, h·w, d] u32. */
  #upload(pictures: readonly PictureBits[]): Tensor[] {
    const { schedule, d } = pictures[0]!;
    return schedule.map(([h, w], s) => {
      const each = h * w * d;
      const data = new Uint32Array(pictures.length * each);
      pictures.forEach(({ scales }, b) => data.set(scales[s]!, b * each));
      return this.device.from("u32", [pictures.length, h * w, d], data, "bits");
    });
  }

  /**
   * Whether bits can be decoded with this model.
   *
   * @throws {InputError} `other-bits`: they are another tokenizer's; `bad-bits`: scales are not what their schedule says.
   */
  check({ d, width, height, latent: [h, w], schedule, scales }: PictureBits): void {
    const { name, vae: { codebook_dim, patch_size: patch } } = this.config;
    if (d !== codebook_dim || width !== w * patch || height !== h * patch) {
      throw new InputError(
        "other-bits",
        `Cannot decode bits of another tokenizer with ${name}: they have ${d} bits a position and ` +
          `${width}x${height} pixels of ${w}x${h} positions, ${name} ${codebook_dim} bits and ` +
          `${patch}x${patch} pixels a position`,
      );
    }
    checkSchedule(schedule);
    const bad = schedule.findIndex(([h, w], s) => scales[s]?.length !== h * w * d);
    if (bad >= 0 || scales.length !== schedule.length) {
      const at = Math.max(0, bad);
      throw new InputError(
        "bad-bits",
        `Cannot decode: scale ${at} has ${scales[at]?.length ?? 0} bits, its ` +
          `${gridText(schedule[at] ?? [0, 0])} positions of ${d} bits need others`,
      );
    }
  }
}

function checkSchedule(schedule: readonly Grid[]): void {
  const odd = schedule.find((grid) => grid.some((n) => !Number.isInteger(n) || n < 1));
  if (schedule.length > 0 && !odd) return;
  const what = odd ? `a scale of ${gridText(odd)}` : "an empty schedule";
  throw new InputError("bad-schedule", `Cannot use ${what}: give whole numbers above 0`);
}

/** [C, n] to [n, C]. */
function channelsLast(data: Float32Array, C: number): Float32Array<ArrayBuffer> {
  const n = data.length / C;
  return Float32Array.from({ length: data.length }, (_, i) => data[i % C * n + Math.floor(i / C)]!);
}

function traceOf(
  { latent: [H, W], d, schedule, scales }: PictureBits,
  features: Float32Array,
  z: Float32Array,
): TensorToWrite[] {
  const map = (name: string, data: Float32Array): TensorToWrite => ({
    name,
    dtype: "F32",
    shape: [1, d, H, W],
    data: channelsFirst(data as Float32Array<ArrayBuffer>, [1, H, W, d]),
  });
  return [
    map("features", features),
    ...scales.map((data, s): TensorToWrite => {
      const [h, w] = schedule[s]!;
      return { name: `scale${s}.bits`, dtype: "U8", shape: [1, h, w, d], data };
    }),
    map("z", z),
  ];
}
