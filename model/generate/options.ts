import type { Device } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { ImageBits } from "../bits/image_bits.ts";
import type { LoraOption } from "../checkpoint/lora.ts";
import type { ModelConfig } from "../config/types.ts";
import type { EditOptions } from "./editing.ts";
import type { SamplingOptions } from "./plan/plan.ts";
import type { Hooks } from "./plan/progress.ts";
import type { TextOptions } from "./text/text_side.ts";
import type { DecodedImage } from "./images/decoded_image.ts";

/** How to load a model. */
export interface LoadOptions {
  /** A WebGPU implementation, such as Dawn (`create([])` of `npm:webgpu`); Deno's own if absent. */
  readonly gpu?: GPU;
  /** An open device, which the caller disposes; overrides `gpu`. */
  readonly device?: Device;
  /**
   * Storage of weights and KV cache; the quantised blocks of the files, if they have any, otherwise `f32`. `f16` halves
   * the memory and needs the feature `shader-f16`. `q8_0` and `q4_0` keep linear layers in blocks of 8.5 and 4.5 bits
   * per weight, and the rest as f16 where the adapter supports it.
   */
  readonly type?: WeightType;
  /**
   * Keeps one part in memory at a time: text encoder, transformer or VAE. Each is loaded again for every call, which is
   * slower and takes the least memory; see {@link planMemory}.
   */
  readonly staged?: boolean;
  /** Loads and checks each part when it is first used. Encoding and decoding need the VAE alone. */
  readonly lazy?: boolean;
  /**
   * Adapters that are added to the weights as they are loaded, in their order. They must have been trained on this model.
   */
  readonly lora?: readonly LoraOption[];
  /** The folder's config, if it is known already, as from another model of the same folder; it is then not read. */
  readonly config?: ModelConfig;
  /** Called with the name of each file before it is loaded. */
  readonly onProgress?: (what: string) => void;
}

/** What to generate, and how. */
export interface GenerateOptions extends TextOptions, SamplingOptions, EditOptions, Hooks {
  /**
   * For {@link InfinityModel.stream}: decodes the image of each scale and reads it back together with the bits, so that
   * {@link Step.image} costs nothing. A staged model then holds the VAE and the transformer at the same time.
   */
  readonly preview?: boolean;
}

/** One scale of a running generation. */
export interface Step {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** For each image, the bits of this scale and all before it. */
  readonly bits: readonly ImageBits[];
  /** Decodes {@link Step.bits} of one image, now or later; of the first if `index` is absent. */
  image(index?: number): Promise<DecodedImage>;
  /** Returns what `JSON.stringify()` writes: the scale and the numbers of scales and images, no bits. */
  toJSON(): Record<string, unknown>;
}
