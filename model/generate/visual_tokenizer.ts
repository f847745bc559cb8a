/**
 * The visual tokenizer in both directions (arXiv 2412.04431, section 3.2): an image to bits, bits to an image.
 *
 * @module
 */

import { type Device, InputError, type Tensor, type TensorToWrite } from "../../engine/mod.ts";
import { checkFinite } from "../../kernels/elementwise/check_finite.ts";
import { bitsOfTokens, type ImageBits, takeScales } from "../bits/image_bits.ts";
import { quantiseFeatures, sumCodes } from "../bits/quantiser.ts";
import { type Grid, gridText, scheduleText } from "../config/grid.ts";
import type { ModelConfig } from "../config/types.ts";
import { checkEncodeOptions } from "./check_options.ts";
import { DecodedImage } from "./images/decoded_image.ts";
import { decodeSum, splitImages } from "./generate.ts";
import {
  checkBits,
  checkInput,
  type EncodeOptions,
  type ImageInput,
  isFloatImage,
  planEncode,
} from "./images/image_input.ts";
import type { Parts } from "../parts/parts.ts";
import { channelsFirst } from "./trace.ts";
import { isOpenImage, openImage } from "../image/read_image.ts";
import { fitImage } from "../image/resize.ts";

/** Encodes and decodes images with the VAE of a model. */
export class VisualTokenizer {
  /** Takes the VAE from `parts`. */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly parts: Parts,
  ) {}

  /** See {@link InfinityModel.encode}. */
  async encode(input: ImageInput, options: EncodeOptions = {}): Promise<ImageBits> {
    checkEncodeOptions(options);
    checkInput(input, "encode");
    const { signal } = options;
    signal?.throwIfAborted();
    const { codebook_dim: d, patch_size: patch } = this.config.vae;
    const image = input instanceof Uint8Array ? await openImage(input, "image", options) : input;
    if (isOpenImage(image)) { for (const line of image.warnings) options.onWarning?.(line); }
    const { width, height, schedule } = planEncode(this.config, image, options);
    const pixels = isFloatImage(image)
      ? channelsLast(image.rgb, 3)
      : await (isOpenImage(image) ? image.fit(width, height) : fitImage(image, width, height));
    using encoder = await this.parts.lease("vae_encoder");
    signal?.throwIfAborted();
    const { device } = this;
    using x = device.from("f32", [1, height, width, 3], pixels, "image");
    using features = device.allOrNothing(() => encoder.part.encode(x));
    using nonFinite = device.from("u32", [1], Uint32Array.of(0), "check");
    checkFinite(device, { x: features, nonFinite });
    const bits = quantiseFeatures(device, features, schedule);
    try {
      const latent: Grid = [height / patch, width / patch];
      using sum = options.trace
        ? device.allOrNothing(() => sumCodes(device, bits, schedule, latent))
        : null;
      const extra = sum ? [features, sum] : [];
      const [check, ...rest] = await device.readAll([nonFinite, ...bits, ...extra]);
      signal?.throwIfAborted();
      if (check![0] !== 0) {
        throw new InputError(
          "not-finite",
          "Cannot encode: the VAE computed NaN or infinity; the image or the weights hold some, or " +
            "they overflow in half precision",
          { hint: "use-f32" },
        );
      }
      const scales = schedule.map((grid, s) => bitsOfTokens(rest[s]!, 0, grid, d, false));
      const model = this.config.name;
      const made: ImageBits = { width, height, d, latent, schedule, scales, model };
      if (options.trace) {
        const [h, z] = rest.slice(schedule.length) as Float32Array[];
        options.trace(traceOf(made, h!, z!));
      }
      return options.scales === undefined ? made : takeScales(made, options.scales);
    } finally {
      for (const tensor of bits) tensor.dispose();
    }
  }

  /** Decodes images: in one batch if all have the same scales, otherwise one by one. */
  async decode(
    images: readonly ImageBits[],
    signal?: AbortSignal,
  ): Promise<DecodedImage[]> {
    signal?.throwIfAborted();
    if (images.length === 0) return [];
    for (const bits of images) checkBits(this.config, bits);
    const alike = ({ latent, schedule }: ImageBits) =>
      `${gridText(latent)} of ${scheduleText(schedule)}`;
    if (new Set(images.map(alike)).size > 1) {
      const made: DecodedImage[] = [];
      for (const bits of images) made.push(...await this.decode([bits], signal));
      return made;
    }
    using vae = await this.parts.lease("vae");
    signal?.throwIfAborted();
    const { device } = this;
    using packed = device.allOrNothing(() => {
      const uploaded = this.#upload(images);
      const { schedule, latent } = images[0]!;
      using sum = sumCodes(device, uploaded, schedule, latent);
      for (const scale of uploaded) scale.dispose();
      return decodeSum(device, vae.part, sum);
    });
    const [, height = 0, width = 0] = packed.shape;
    const rgba = splitImages(await device.read(packed), images.length);
    signal?.throwIfAborted();
    return rgba.map((rgba) => new DecodedImage(rgba, width, height));
  }

  /** Uploads the bits of each scale as u32 [B, h·w, d]. */
  #upload(images: readonly ImageBits[]): Tensor[] {
    const { schedule, d } = images[0]!;
    return schedule.map(([h, w], s) => {
      const each = h * w * d;
      const data = new Uint32Array(images.length * each);
      images.forEach(({ scales }, b) => data.set(scales[s]!, b * each));
      return this.device.from("u32", [images.length, h * w, d], data, "bits");
    });
  }
}

/** Transposes [C, n] to [n, C]. */
function channelsLast(data: Float32Array, C: number): Float32Array<ArrayBuffer> {
  const n = data.length / C;
  return Float32Array.from({ length: data.length }, (_, i) => data[i % C * n + Math.floor(i / C)]!);
}

function traceOf(
  { latent: [H, W], d, schedule, scales }: ImageBits,
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
