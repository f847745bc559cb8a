/**
 * bitwise: Infinity, bitwise visual autoregressive text-to-image (arXiv 2412.04431), on WebGPU.
 *
 * @example Draw a picture
 * ```ts no-run
 * import { InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images } = await model.generate({ prompt: "red apple", seed: 7 });
 * await Deno.writeFile("apple.png", images[0].toPng());
 * ```
 *
 * @module
 */

export * from "./engine/errors.ts";
export { type Capabilities, Device, type DeviceOptions } from "./engine/device.ts";
export type { TensorToWrite } from "./engine/safetensors_writer.ts";
export type { Hooks, Progress } from "./model/generate.ts";
export {
  DEFAULT_MODEL,
  type GenerateOptions,
  type Image,
  InfinityModel,
  type LoadOptions,
  type Result,
} from "./model/infinity.ts";
export type { SamplingOptions } from "./model/plan.ts";
export type { FeatureRows } from "./model/text_rows.ts";
export { VERSION } from "./model/version.ts";
