/**
 * Types of options, results and configurations, for annotations.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import type { SamplingOptions } from "@bitwise/infinity/types";
 *
 * const careful: SamplingOptions = { cfgScale: 3, tau: 0.5, topP: 0.9 };
 * using model = await InfinityModel.load();
 * const { images } = await model.generate("red apple", careful);
 * console.log(images.length);
 * ```
 *
 * @module
 */

export type { WeightType } from "../kernels/linear/weight_types.ts";
export type { Grid } from "./config/grid.ts";
export type {
  ModelConfig,
  PixelBudget,
  SamplingDefaults,
  T5Config,
  TokenizerConfig,
  TransformerConfig,
  VaeConfig,
} from "./config/types.ts";
export type { LoraOption } from "./checkpoint/lora.ts";
export type { EditOptions } from "./generate/editing.ts";
export type { FastMode } from "./generate/plan/fast.ts";
export type { FloatImage } from "./generate/images/image_input.ts";
export type { SamplingOptions } from "./generate/plan/plan.ts";
export type { Hooks, Stage } from "./generate/plan/progress.ts";
export type { TextOptions } from "./generate/text/text_side.ts";
export type { ImageLimits } from "./image/base/rows.ts";
export type { FeatureRows } from "./text/text_rows.ts";
