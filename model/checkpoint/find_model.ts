/**
 * Finds a model by name: in the box, among the published models, or where a path or URL points.
 *
 * @module
 */

import { FileError, InputError, quote, readEnv } from "../../engine/mod.ts";
import { nearest } from "../config/nearest.ts";
import { findPreset, type Preset, PRESETS } from "../config/presets.ts";
import { isUrl } from "./folder.ts";
import { BOX_MODELS, MODELS_URL } from "./box_models.ts";
import { downloadModel, type DownloadModelOptions, modelCache } from "./download_model.ts";

/** The folder of the models in the box. */
const BOX = new URL("../../assets/models/", import.meta.url);

/** The name of the model that is loaded when none is given. */
const DEFAULT_NAME = "emoji-scenes";

/** Options of {@linkcode findModel}. */
export type FindModelOptions = Pick<DownloadModelOptions, "signal" | "onProgress">;

/**
 * The default model, emoji-scenes, which generates 128×128 scenes of emoji. A package that comes without it downloads it
 * when it is loaded.
 *
 * @example
 * ```ts
 * import { DEFAULT_MODEL, InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load(DEFAULT_MODEL);
 * console.log(model.config.name);
 * ```
 */
export const DEFAULT_MODEL: URL = new URL(`${DEFAULT_NAME}/`, BOX);

/** The folder that `pull` makes for a published model, relative to the working directory. */
export function pulledFolder({ name }: Preset): string {
  return `models/${name}`;
}

/**
 * Finds the folder of a model. A model of the box that is not beside the code, as in a published or bundled package, is
 * downloaded into the user's cache once; the environment variable BITWISE_MODELS_URL names another server to ask.
 *
 * @example
 * ```ts ignore
 * await findModel(); // the default model, emoji-scenes
 * await findModel("emoji-nano"); // a model in the box, by name
 * await findModel("2b"); // "models/infinity-2b", where pull puts it
 * await findModel("my/model"); // a path, if it exists
 * ```
 *
 * @param model A URL, a path, the name of a model in the box, or the name of a published model. If absent, what the
 * environment variable BITWISE_MODEL says, otherwise the default model.
 * @returns What `openFolder` takes: a URL as it is, a path that exists, or the folder that the name stands for.
 * @throws {FileError} `model-not-pulled`: a published model that is not on this machine (hint `pull-model`);
 * `model-not-found`: neither a path nor a name; the message names the nearest name and the models in the box.
 * @throws {DownloadError} A model of the box can neither be found nor downloaded.
 * @throws {InputError} It is neither text nor a URL, or BITWISE_MODELS_URL is no URL.
 * @throws The reason of `signal`, once it is aborted.
 */
export async function findModel(
  model?: string | URL,
  options: FindModelOptions = {},
): Promise<string | URL> {
  if (model === undefined) model = readEnv("BITWISE_MODEL") || DEFAULT_NAME;
  if (!(typeof model === "string" || model instanceof URL)) {
    throw new InputError("wrong-type", "Cannot load a model: give a name, a path or a URL");
  }
  if (`${model}` === DEFAULT_MODEL.href) return await boxModel(DEFAULT_NAME, options);
  if (model instanceof URL || isUrl(model)) return model;
  if (model !== "" && await exists(model)) return model;
  const box = [...new Set([...await modelsInBox(), ...Object.keys(BOX_MODELS)])].sort();
  if (box.includes(model)) return await boxModel(model, options);
  const preset = publishedPreset(model);
  if (preset === null) throw notFound(model, box);
  const folder = pulledFolder(preset);
  if (await exists(`${folder}/config.json`)) return folder;
  if (preset.file === null) {
    const message = `Cannot load ${quote(model)}: ${preset.name} was never published, ` +
      `so give the path of a folder with its weights`;
    throw new FileError("model-not-found", message);
  }
  const message = `Cannot load ${quote(model)}: ${preset.name} is a published model that is not ` +
    `on this machine; pull it, or give the path of its folder`;
  throw new FileError("model-not-pulled", message, { hint: "pull-model" });
}

/** The folder beside the code, else in the cache. */
async function boxModel(name: string, options: FindModelOptions): Promise<string | URL> {
  const beside = new URL(`${name}/`, BOX);
  if (beside.protocol === "file:" && await exists(new URL("config.json", beside))) return beside;
  // deps/deno_on_node.ts reads files only
  if (typeof Deno.mkdir !== "function") {
    const message = `Cannot find model ${quote(name)} beside the code, and cannot download it ` +
      "outside of Deno; give the path of a model folder";
    throw new FileError("model-not-found", message);
  }
  return await downloadModel(name, { ...options, bases: bases(), cache: modelCache(readEnv) });
}

/** Where to download models from, see {@linkcode DownloadModelOptions}. */
function bases(): string[] {
  const given = readEnv("BITWISE_MODELS_URL");
  if (!given) return BOX.protocol === "file:" ? [MODELS_URL] : [BOX.href, MODELS_URL];
  if (/^https?:$/.test(URL.parse(given)?.protocol ?? "")) return [given.replace(/\/*$/, "/")];
  throw new InputError(
    "bad-value",
    `Cannot use BITWISE_MODELS_URL ${quote(given)}: give a URL that begins with https://`,
  );
}

/** Names of the models that are beside the code, sorted. */
export async function modelsInBox(): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(BOX)) {
      if (await exists(new URL(`${name}/config.json`, BOX))) names.push(name);
    }
  } catch {
    // published or bundled without models
  }
  return names.sort();
}

/** Whether something is at a path. What may not be read counts as there: opening it says why. */
async function exists(path: string | URL): Promise<boolean> {
  return await Deno.stat(path).then(() => true, (error) => {
    return !(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory);
  });
}

function publishedPreset(name: string): Preset | null {
  try {
    return findPreset(name);
  } catch {
    return null;
  }
}

function notFound(model: string, box: readonly string[]): FileError {
  const presets = [...PRESETS.values()].filter(({ file }) => file !== null)
    .flatMap(({ name }) => [name, name.replace("infinity-", "")]);
  const near = nearest(model, [...box, ...presets]);
  const meant = near === undefined ? "" : `; did you mean ${near}?`;
  const inBox = box.length ? `; models in the box: ${box.join(", ")}` : "";
  return new FileError(
    "model-not-found",
    `Cannot find model ${quote(model)}: there is no such folder, and no model has that name` +
      (meant || inBox ? `${inBox}${meant}` : ""),
  );
}
