/**
 * bitwise: Infinity, bitwise visual autoregressive text-to-image (arXiv 2412.04431), on WebGPU.
 *
 * This entry has everything that using a model takes. The other entries:
 *
 * - `@bitwise/infinity/engine`: devices, kernels, tensors, safetensors files, and every class of error
 * - `@bitwise/infinity/analysis`: image metrics, measurements of bits, and memory plans
 * - `@bitwise/infinity/types`: types of options, results and configurations
 * - `@bitwise/infinity/node`: makes a bundle run on Node 24 and newer
 * - `@bitwise/infinity/cli`: the command line
 *
 * @example Generate an image
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images } = await model.generate("a red apple", { seed: 7 });
 * const png = images[0].toPng(); // holds the settings that reproduce it
 * console.log(images[0].width, png.length);
 * ```
 *
 * @module
 */

export { DEFAULT_MODEL, InfinityModel } from "./model/infinity.ts";
export type { GenerateOptions, LoadOptions, Step } from "./model/generate/options.ts";
export type { Progress } from "./model/generate/plan/progress.ts";
export type { GeneratedImage, Result } from "./model/generate/images.ts";
export type { DecodedImage } from "./model/generate/images/decoded_image.ts";
export type { EncodeOptions, ImageInput } from "./model/generate/images/image_input.ts";
export { type ImageBits, interpolateBits, takeScales } from "./model/bits/image_bits.ts";
export { decodeBitsFile, encodeBitsFile } from "./model/bits/bits_file.ts";
export { encodePng, type Image } from "./model/image/png.ts";
export { type OpenImage, openImage } from "./model/image/read_image.ts";
export { encodeApng } from "./model/image/apng.ts";
export type { ModelConfig } from "./model/config/types.ts";
export { BitwiseError } from "./engine/mod.ts";
export { VERSION } from "./model/config/version.ts";
