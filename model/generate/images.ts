import type { TensorToWrite } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import { bitsOfTokens, type ImageBits } from "../bits/image_bits.ts";
import { vaeSchedule } from "../config/schedule.ts";
import type { ModelConfig } from "../config/types.ts";
import { VERSION } from "../config/version.ts";
import type { Generated } from "./generate.ts";
import { imageParameters } from "./parameters.ts";
import type { Plan } from "./plan.ts";
import type { DecodedImage } from "./visual_tokenizer.ts";
import { encodePng } from "../image/png.ts";

/** One image that was drawn. */
export interface GeneratedImage extends DecodedImage {
  /** The bits it is made of. */
  readonly bits: ImageBits;
  /** The prompt it was made from, if there was one. */
  readonly prompt?: string;
  /** The seed that makes it again. */
  readonly seed: bigint;
  /** All settings as text, as web UIs read them from a PNG. */
  readonly parameters: string;
  /** A PNG file that carries {@link GeneratedImage.parameters}. */
  toPng(): Uint8Array;
}

/** What {@link InfinityModel.generate} made. */
export interface Result {
  /** One per prompt and batch count. */
  readonly images: GeneratedImage[];
  /** Tensors of what happened; empty without `trace`. */
  readonly trace: TensorToWrite[];
  /** Wall time of the text side, of the images, and of all. */
  readonly seconds: { readonly text: number; readonly images: number; readonly total: number };
  /** What a user should know, a line each: a prompt that was cut, say. */
  readonly warnings: string[];
}

/** Settings that {@link Plan} does not hold. */
export interface Settings {
  readonly config: ModelConfig;
  readonly type: WeightType;
  readonly prompts: readonly string[] | null;
  readonly negativePrompt?: string;
  readonly cfgInsertionLayer?: number;
  /** Scales kept of an image that was edited. */
  readonly keepScales?: number;
  /** Whether a mask said where. */
  readonly masked: boolean;
}

/**
 * Bits of the tokens of the first scales [B, h·w, D] as images.
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

/** The images of a run, with all that makes them again. */
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
      version: VERSION,
    });
    const toPng = () => encodePng(rgba, width, height, { parameters });
    return { width, height, rgba, bits: bits[i]!, prompt, seed, parameters, toPng };
  });
}
