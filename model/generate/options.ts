import type { Device } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { ImageBits } from "../bits/image_bits.ts";
import type { EditOptions, GenerationPlan } from "./editing.ts";
import type { SamplingOptions } from "./plan.ts";
import type { Hooks } from "./progress.ts";
import type { TextOptions } from "./text_side.ts";
import type { DecodedImage } from "./decoded_image.ts";

/** How to load a model. */
export interface LoadOptions {
  /** A WebGPU implementation, such as Dawn: `create([])` of `npm:webgpu`; Deno's own if absent. */
  readonly gpu?: GPU;
  /** A device that is already open and stays the caller's; overrides `gpu`. */
  readonly device?: Device;
  /**
   * Storage of weights and KV cache; if absent, the blocks that the files are in, else `f32`. `f16` halves the memory and needs `shader-f16`; `q8_0` and `q4_0`
   * keep linear layers in blocks of 8.5 and 4.5 bits per weight, the rest as f16 where the adapter can.
   */
  readonly type?: WeightType;
  /**
   * Keeps only the part in memory that works: text encoder, then transformer, then VAE, each loaded anew for every
   * call. Slower, and as small as it gets; see {@link planMemory}.
   */
  readonly staged?: boolean;
  /** Loads each part when it is first used, and checks it no sooner: encoding and decoding need the VAE alone. */
  readonly lazy?: boolean;
  /** Called with what is being loaded. */
  readonly onProgress?: (what: string) => void;
}

/** What to draw, and how. */
export interface GenerateOptions extends TextOptions, SamplingOptions, EditOptions, Hooks {
  /**
   * For {@link InfinityModel.stream}: decodes the image at each scale and reads it back with the bits, so that
   * {@link Step.image} need not. A model in stages then holds its VAE beside the transformer.
   */
  readonly preview?: boolean;
  /** What {@link planGeneration} returned for the same options, which are then not checked again. */
  readonly plan?: GenerationPlan;
}

/** A scale of an image that is being drawn. */
export interface Step {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** Bits of this scale and all before, of each image. */
  readonly bits: readonly ImageBits[];
  /** What the image is so far: decodes {@link Step.bits} of one image when it is called, at any time. */
  image(index?: number): Promise<DecodedImage>;
}
