import type { ModelConfig } from "../model/config.ts";

/**
 * A preset's config by name.
 *
 * @throws {InputError} `unknown-preset`: names those there are.
 */
export async function presetConfig(name: string): Promise<ModelConfig> {
  const { findPreset } = await import("../model/presets.ts");
  const { parseConfig } = await import("../model/config.ts");
  const preset = findPreset(name);
  return parseConfig(preset.config, preset.name);
}

/** Whether there is a preset of that name. */
export async function isPreset(name: string): Promise<boolean> {
  return await presetConfig(name).then(() => true, () => false);
}

/** The config of a model folder; the model in the box if absent. */
export async function folderConfig(folder: string | undefined): Promise<ModelConfig> {
  const { DEFAULT_MODEL } = await import("../model/infinity.ts");
  const { openFolder } = await import("../model/folder.ts");
  const { parseConfig } = await import("../model/config.ts");
  const files = openFolder(folder ?? DEFAULT_MODEL);
  return parseConfig(await files.json("config.json"), files.path("config.json"));
}
