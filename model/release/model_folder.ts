import { join } from "../../deps/@std/path.ts";
import { openFolder } from "../checkpoint/folder.ts";
import { isRecord } from "../config/check_value.ts";
import { parseConfig } from "../config/config.ts";
import type { Release } from "./find_release.ts";

/** A model folder as something to make another one of. */
export interface ModelFolder {
  /** Paths of its files. */
  readonly release: Release;
  /** The name in its config.json. */
  readonly name: string;
  /** Its config.json. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Returns the files of a model folder; null if a folder is not one: if its config.json does not describe a transformer.
 *
 * @throws {CheckpointError} `bad-json`: its config.json cannot be read.
 * @throws {ConfigError} Its config.json is wrong.
 */
export async function modelFolder(folder: string): Promise<ModelFolder | null> {
  const files = openFolder(folder);
  if (!await files.exists("config.json")) return null;
  const json = await files.json("config.json");
  if (!isRecord(json) || !isRecord(json.transformer)) return null;
  const { name, files: { transformer, vae, text_encoder: weights, tokenizer }, text_encoder } =
    parseConfig(json, files.path("config.json"));
  const at = (file: string) => join(folder, file);
  const text = text_encoder !== undefined && await files.exists(weights)
    ? { weights: at(weights), tokenizer: at(tokenizer) }
    : null;
  return {
    release: { transformer: at(transformer), vae: at(vae), text },
    name,
    config: json,
  };
}
