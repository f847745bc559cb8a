/**
 * bitwise: Infinity, bitwise visual autoregressive text-to-image (arXiv 2412.04431), on WebGPU.
 *
 * @example Draw an image
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images } = await model.generate({ prompt: "red apple", seed: 7 });
 * const png = images[0].toPng(); // with the settings that make it again
 * console.log(images[0].width, png.length);
 * ```
 *
 * @module
 */

export {
  BitwiseError,
  type BitwiseErrorOptions,
  CheckpointError,
  ConfigError,
  DeviceError,
  FileError,
  InputError,
  KernelError,
  OutOfMemoryError,
  SafetensorsError,
} from "./engine/mod.ts";
export type { Capabilities, DeviceOptions, SubgroupMatrix, Tuning } from "./engine/mod.ts";
export { Device } from "./engine/mod.ts";
export { dawn } from "./engine/mod.ts";
export {
  type Binding,
  defineKernel,
  type Dispatch,
  grid,
  type Kernel,
  type Param,
  type Specialisation,
  type Work,
} from "./engine/mod.ts";
export type { Memory } from "./engine/mod.ts";
export type { Done, KernelTime, Profiler } from "./engine/mod.ts";
export type { Storage, Tensor, TensorData, TensorDType } from "./engine/mod.ts";
export type { TexelFormat, Texture } from "./engine/mod.ts";
export type { TensorEntry, TensorToWrite } from "./engine/mod.ts";
export type { Grid } from "./model/config/grid.ts";
export type {
  ModelConfig,
  PixelBudget,
  SamplingDefaults,
  T5Config,
  TokenizerConfig,
  TransformerConfig,
  VaeConfig,
} from "./model/config/types.ts";
export type { Dtype } from "./engine/mod.ts";
export type { WeightType } from "./kernels/linear/weight_types.ts";
export type { Hooks, Progress, Stage } from "./model/generate/progress.ts";
export { DEFAULT_MODEL, InfinityModel } from "./model/infinity.ts";
export type { GenerateOptions, LoadOptions, Step } from "./model/generate/options.ts";
export type { EditOptions } from "./model/generate/editing.ts";
export type { GeneratedImage, Result } from "./model/generate/images.ts";
export type { TextOptions } from "./model/generate/text_side.ts";
export type { EncodeOptions, FloatImage, ImageInput } from "./model/generate/image_input.ts";
export type { DecodedImage } from "./model/generate/visual_tokenizer.ts";
export { bitCount, type ImageBits, interpolateBits, takeScales } from "./model/bits/image_bits.ts";
export { decodeBitsFile, encodeBitsFile } from "./model/bits/bits_file.ts";
export {
  bitEntropy,
  FLIP_SHARES,
  type FlipSensitivity,
  flipSensitivity,
  type ScaleEntropy,
  type ScaleSensitivity,
  type SensitivityOptions,
} from "./model/analysis.ts";
export { encodeApng } from "./model/image/apng.ts";
export { psnr, ssim } from "./model/image/metrics.ts";
export { encodePng, type Image } from "./model/image/png.ts";
export {
  fitMemory,
  type MemoryOptions,
  type MemoryPlan,
  planMemory,
  type StageMemory,
} from "./model/memory_plan.ts";
export type { FastMode } from "./model/generate/fast.ts";
export type { SamplingOptions } from "./model/generate/plan.ts";
export type { FeatureRows } from "./model/text/text_rows.ts";
export { VERSION } from "./model/config/version.ts";
