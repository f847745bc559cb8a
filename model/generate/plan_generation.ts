import { parseConfig } from "../config/config.ts";
import type { ModelConfig } from "../config/types.ts";
import { checkGenerateOptions } from "./check_options.ts";
import { type GenerationPlan, planEdit } from "./editing.ts";
import type { GenerateOptions } from "./options.ts";
import { makePlan } from "./plan/plan.ts";
import { promptsOf } from "./text/text_side.ts";

/**
 * Checks all options of a generation against a model's config, without a GPU or weights, and fills in the model's
 * defaults. An image from {@link openImage} is decoded once for this and the generation.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import { planGeneration } from "@bitwise/infinity/analysis";
 *
 * using model = await InfinityModel.load();
 * const { plan } = await planGeneration(model.config, { prompt: "red apple", seed: -1 });
 * console.log(plan.seeds, plan.schedule, plan.cfg); // the seed that was drawn, and the model's defaults
 * ```
 *
 * @throws {InputError} An option is wrong; the message names it, its value and what is allowed.
 * @throws {ConfigError} The config is malformed.
 * @throws {FileError} The image or the mask cannot be decoded.
 */
export async function planGeneration(
  config: ModelConfig,
  options: GenerateOptions,
): Promise<GenerationPlan> {
  config = parseConfig(config, "the config");
  checkGenerateOptions(options);
  const texts = options.textFeatures?.lens.length ?? promptsOf(options).length;
  const edit = await planEdit(config, options);
  if (!edit) return { plan: makePlan(config, options, texts), edit };
  const { width: _, height: __, ...rest } = options;
  const plan = makePlan(config, { ...rest, schedule: edit.schedule }, texts);
  return { plan: { ...plan, warnings: [...edit.warnings, ...plan.warnings] }, edit };
}
