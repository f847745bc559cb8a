import { dirname, resolve } from "../../../deps/@std/path.ts";
import { ConfigError, quote } from "../../../engine/mod.ts";
import { readSmallFile } from "../../checkpoint/files.ts";
import { findModel } from "../../checkpoint/find_model.ts";
import { isUrl, openFolder } from "../../checkpoint/folder.ts";
import type { Folder } from "../../checkpoint/place.ts";
import { isRecord } from "../../config/check_value.ts";
import { parseConfig } from "../../config/config.ts";
import { findPreset } from "../../config/presets.ts";
import { readTable, refuse } from "./keys.ts";
import { SeenKeys } from "./seen_keys.ts";
import { DEFAULT_STEPS, type Links, TABLE } from "./tables.ts";
import type { OptimiserConfig, TrainConfig } from "./types.ts";

/** The most bytes of a CONFIG.json. */
const LIMIT = 1e6;

/** A CONFIG.json whose own values are checked; the files that it names are not opened. */
export type TrainFile =
  & Omit<TrainConfig, "name" | "model" | "model_json" | "init" | "words">
  & Omit<Links, "model">
  & { readonly model: string | Readonly<Record<string, unknown>> | null };

/**
 * Checks the JSON of a CONFIG.json.
 *
 * @param json What `JSON.parse` returned.
 * @param where What messages call the file.
 * @throws {ConfigError} `unknown-key`, with the nearest key; `bad-value`, with the key, its value and what is allowed.
 */
export function parseTrainFile(json: unknown, where: string): TrainFile {
  if (!isRecord(json)) refuse(where, "it", json, "an object");
  const inline = isRecord(json.model) ? json.model : undefined;
  const file = readTable(inline ? { ...json, model: null } : json, TABLE, where);
  if (file.data.path === "") refuse(where, "data.path", null, "a folder or file of images");
  if (!inline && file.model === null && file.init === null) {
    refuse(where, "model", null, "a name, a path or an object, unless init has one");
  }
  const { kind, held_out, broken, mirror } = file.data;
  if (held_out > 0 && (kind === "sheet" || kind === "scenes")) {
    refuse(where, "data.held_out", held_out, "0: such data say themselves what is held out");
  }
  if (broken === "skip" && (kind === "sheet" || kind === "scenes")) {
    refuse(where, "data.broken", broken, '"stop": such data are one image or none');
  }
  if (mirror > 0 && kind === "scenes") {
    refuse(where, "data.mirror", mirror, "0: left and right of scenes are in their captions");
  }
  const { lora, text_encoder } = file.transformer;
  if (file.init === null && lora.rank > 0) {
    refuse(where, "transformer.lora.rank", lora.rank, "0 unless init names the model to adapt");
  }
  if (file.init === null && text_encoder === "frozen") {
    refuse(where, "transformer.text_encoder", text_encoder, '"joint" unless init has one');
  }
  return {
    ...file,
    model: inline ?? file.model,
    tokenizer: ended(file.tokenizer),
    transformer: ended(file.transformer),
    decoder: ended(file.decoder),
  };
}

/** Without steps and minutes, a stage has a number of steps. */
function ended<T extends OptimiserConfig>(stage: T): T {
  if (stage.steps !== null || stage.minutes !== null) return stage;
  return { ...stage, steps: DEFAULT_STEPS };
}

/**
 * Reads a CONFIG.json, and the config.json of the model that it names. Paths in it are relative to its folder.
 *
 * @throws {FileError} A file is missing or cannot be read.
 * @throws {ConfigError} `bad-json`, or as {@linkcode parseTrainFile}.
 */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  const text = new TextDecoder().decode(await readSmallFile(path, LIMIT));
  return await resolveTrainConfig(parseTrainFile(jsonOf(text, path), path), dirname(path), path);
}

/**
 * Finds the files that a CONFIG.json names.
 *
 * @param folder What its paths are relative to.
 * @param where What messages call the file.
 */
export async function resolveTrainConfig(
  file: TrainFile,
  folder: string,
  where: string,
): Promise<TrainConfig> {
  const { model: named, init: from, words, data, name, ...rest } = file;
  const at = (path: string) => isUrl(path) ? path : resolve(folder, path);
  const init = from === null ? null : await findModel(await nameOrPath(from, at));
  const found = await findHyperparameters(named, init, at);
  const json = { ...found.json, ...name !== null && { name } };
  const seen = new SeenKeys();
  const model = parseConfig(seen.watch(json), found.where);
  // of a config.json, other programs may have keys of their own
  if (isRecord(named)) seen.check(where, "model.");
  const tokenizer = words !== null ? at(words) : found.folder?.path(model.files.tokenizer) ??
    refuse(where, "words", null, "the path of a tokenizer.json: model has none");
  return {
    ...rest,
    name: model.name,
    model,
    model_json: json,
    init: init === null ? null : `${init}`,
    words: tokenizer,
    data: { ...data, path: at(data.path) },
  };
}

/** A config.json, what messages call it, and the folder around it, if it is that of a model. */
interface Hyperparameters {
  readonly json: Readonly<Record<string, unknown>>;
  readonly where: string;
  readonly folder?: Folder;
}

async function findHyperparameters(
  model: TrainFile["model"],
  init: string | URL | null,
  at: (path: string) => string,
): Promise<Hyperparameters> {
  if (isRecord(model)) {
    return { json: model, where: "model", ...init !== null && { folder: openFolder(init) } };
  }
  if (typeof model === "string" && model.endsWith(".json")) {
    const path = at(model);
    const text = new TextDecoder().decode(await readSmallFile(path, LIMIT));
    return {
      json: record(jsonOf(text, path), path),
      where: path,
      folder: openFolder(dirname(path)),
    };
  }
  const preset = typeof model === "string" ? presetNamed(model) : undefined;
  if (preset) return { json: preset.config, where: preset.name };
  const folder = openFolder(model === null ? init! : await findModel(await nameOrPath(model, at)));
  const where = folder.path("config.json");
  return { json: record(await folder.json("config.json"), where), where, folder };
}

/** A path if there is something, else the name of a model. */
async function nameOrPath(given: string, at: (path: string) => string): Promise<string> {
  const path = at(given);
  return await Deno.stat(path).then(() => path, () => given);
}

function presetNamed(name: string) {
  try {
    return findPreset(name);
  } catch {
    return undefined;
  }
}

function record(json: unknown, where: string): Readonly<Record<string, unknown>> {
  return isRecord(json) ? json : refuse(where, "it", json, "an object");
}

/** Parses the text of a file. @throws {ConfigError} `bad-json`. */
export function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = (cause as Error).message.replace(/\s*\n\s*/g, " ");
    throw new ConfigError("bad-json", `Cannot read ${quote(path)}: ${why}`, { cause });
  }
}
