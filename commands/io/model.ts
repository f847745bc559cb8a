import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { ModelConfig } from "../../model/config/types.ts";

/**
 * A preset's config by name.
 *
 * @throws {InputError} `unknown-preset`: names those there are.
 */
export async function presetConfig(name: string): Promise<ModelConfig> {
  const { findPreset } = await import("../../model/config/presets.ts");
  const { parseConfig } = await import("../../model/config/config.ts");
  const preset = findPreset(name);
  return parseConfig(preset.config, preset.name);
}

/** Whether there is a preset of that name. */
export async function isPreset(name: string): Promise<boolean> {
  return await presetConfig(name).then(() => true, () => false);
}

/** The config of a model folder; the model in the box if absent. */
export async function folderConfig(folder: string | undefined): Promise<ModelConfig> {
  const { findModel } = await import("../../model/checkpoint/find_model.ts");
  const { openFolder } = await import("../../model/checkpoint/folder.ts");
  const { parseConfig } = await import("../../model/config/config.ts");
  const files = openFolder(await findModel(folder));
  return parseConfig(await files.json("config.json"), files.path("config.json"));
}

/** How a model folder is loaded if no type is asked for: in the blocks of its file, if it has any. */
export async function folderType(folder: string | undefined): Promise<WeightType | undefined> {
  const { findModel } = await import("../../model/checkpoint/find_model.ts");
  const { openFolder } = await import("../../model/checkpoint/folder.ts");
  const { quantisationOf } = await import("../../model/checkpoint/quantised_blocks.ts");
  const { files: { transformer } } = await folderConfig(folder);
  const files = openFolder(await findModel(folder));
  if (!await files.exists(transformer)) return undefined;
  const file = await files.tensors(transformer);
  file.close();
  return quantisationOf(file.metadata);
}
