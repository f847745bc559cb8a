import type { TensorToWrite } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import { bitsOfTokens, type ImageBits } from "../bits/image_bits.ts";
import type { Lora } from "../checkpoint/lora.ts";
import { vaeSchedule } from "../config/schedule.ts";
import type { ModelConfig } from "../config/types.ts";
import { VERSION } from "../config/version.ts";
import type { Generated } from "./generate.ts";
import { imageParameters } from "./plan/parameters.ts";
import type { Plan } from "./plan/plan.ts";
import { DecodedImage } from "./images/decoded_image.ts";
import { jsonSeed } from "./plan/seed.ts";
import { encodePng } from "../image/png.ts";

/** A generated image, with the settings that reproduce it. */
export class GeneratedImage extends DecodedImage {
  /** Makes an image of its pixels and the settings that reproduce it. */
  constructor(
    rgba: Uint8Array<ArrayBuffer>,
    width: number,
    height: number,
    /** The bits that the image was decoded from. */
    readonly bits: ImageBits,
    /** The seed that reproduces it. */
    readonly seed: bigint,
    /** All settings as text, as web UIs read them from a PNG. */
    readonly parameters: string,
    /** The prompt, if there was one. */
    readonly prompt?: string,
  ) {
    super(rgba, width, height);
  }

  /** Encodes the image as a PNG file that carries {@link GeneratedImage.parameters}. */
  override toPng(): Uint8Array<ArrayBuffer> {
    return encodePng(this.rgba, this.width, this.height, { parameters: this.parameters });
  }

  /** Returns what `JSON.stringify()` writes: the size and the settings that reproduce the image, no pixels or bits. */
  override toJSON(): Record<string, unknown> {
    const { prompt, seed, parameters } = this;
    return { ...super.toJSON(), prompt, seed: jsonSeed(seed), parameters };
  }
}

/** What {@link InfinityModel.generate} returns. */
export class Result {
  /** Makes the result of one run. */
  constructor(
    /** For each prompt in turn, as many images as `batchCount` says. */
    readonly images: GeneratedImage[],
    /** Logits, bits, codes and images by name; empty without `trace`. */
    readonly trace: TensorToWrite[],
    /** Wall time in seconds: of the text encoder, of the images, and of both. */
    readonly seconds: { readonly text: number; readonly images: number; readonly total: number },
    /** Warnings, one line each, such as that a prompt was cut. */
    readonly warnings: string[],
  ) {}

  /**
   * Returns what `JSON.stringify()` writes: settings, times, warnings and names of traced tensors; no pixels or bits.
   */
  toJSON(): Record<string, unknown> {
    const { images, seconds, warnings } = this;
    const trace = this.trace.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    return { images, seconds, warnings, ...trace.length > 0 && { trace } };
  }
}

/** Settings of a generation that {@link Plan} does not hold. */
export interface Settings {
  readonly config: ModelConfig;
  readonly type: WeightType;
  /** Adapters that were added to the weights. */
  readonly loras: readonly Pick<Lora, "name" | "strength" | "hash">[];
  readonly prompts: readonly string[] | null;
  readonly negativePrompt?: string;
  readonly cfgInsertionLayer?: number | readonly number[];
  /** Number of scales kept of an edited image. */
  readonly keepScales?: number;
  /** Whether the edit had a mask. */
  readonly masked: boolean;
}

/**
 * Converts the bits of tokens [B, h·w, D] of the first scales to the bits of each image.
 *
 * @param schedule Grids of the scales in tokens.
 */
export function imageBitsOf(
  config: ModelConfig,
  schedule: readonly (readonly [number, number])[],
  tokens: readonly Uint32Array[],
  images: number,
): ImageBits[] {
  const { vae: { codebook_dim: d, patch_size }, transformer } = config;
  const grids = vaeSchedule(config, schedule);
  const latent = grids.at(-1)!;
  const patchify = Boolean(transformer.apply_spatial_patchify);
  return Array.from({ length: images }, (_, b): ImageBits => ({
    width: latent[1] * patch_size,
    height: latent[0] * patch_size,
    d,
    latent,
    schedule: grids.slice(0, tokens.length),
    scales: tokens.map((bits, s) => bitsOfTokens(bits, b, grids[s]!, d, patchify)),
    model: config.name,
  }));
}

/** The images of a generation, with the settings that reproduce them. */
export function imagesOf(made: Generated, plan: Plan, settings: Settings): GeneratedImage[] {
  const { config, prompts } = settings;
  const { width, height } = made;
  const bits = imageBitsOf(config, plan.schedule, made.bits, plan.images);
  return made.pixels.map((rgba, i): GeneratedImage => {
    const prompt = prompts?.[i];
    const seed = plan.seeds[i]!;
    const parameters = imageParameters({
      prompt: prompt ?? "",
      negativePrompt: settings.negativePrompt,
      scales: plan.schedule.length,
      cfgScale: plan.cfg,
      tau: plan.tau,
      seed,
      width,
      height,
      model: config.name,
      schedule: plan.schedule,
      topK: plan.topK,
      topP: plan.topP,
      greedy: plan.greedy,
      fast: plan.fast,
      cfgInsertionLayer: settings.cfgInsertionLayer ?? config.defaults.cfg_insertion_layer,
      keepScales: settings.keepScales,
      masked: settings.masked,
      type: settings.type,
      loras: settings.loras.map(({ name, strength, hash }) => ({ name, strength, hash })),
      version: VERSION,
    });
    return new GeneratedImage(rgba, width, height, bits[i]!, seed, parameters, prompt);
  });
}
