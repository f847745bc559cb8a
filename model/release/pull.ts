/**
 * Downloads the files of a published model from the Hugging Face hub.
 *
 * Tested against a mock hub on 127.0.0.1 only (tests/model/release/hub/hub_test.ts, tests/commands/pull_test.ts): redirects
 * to another origin, ranges, lost and silent connections, refusals, wrong digests, a full disk. The mock's answers
 * follow the sources of `@huggingface/hub`.
 *
 * @module
 */

import { basename, dirname } from "../../deps/@std/path.ts";
import { BitwiseError, InputError } from "../../engine/mod.ts";
import { type Preset, PRESETS, REPOSITORY, TEXT_ENCODER, VAES } from "../config/presets.ts";
import { CachedHub } from "./hub/cached_hub.ts";
import type { HubFile, Repositories } from "./hub/hub.ts";
import { DownloadError } from "../download/patience.ts";
import { downloadFile, type DownloadOptions, isCached, writeRef } from "./hub/hub_cache.ts";
import type { Release } from "./find_release.ts";

/** Options of {@linkcode pullRelease}. */
export interface PullOptions extends DownloadOptions {
  /** Called before the first large file. */
  readonly onPlan?: (plan: PullPlan) => void;
}

/** Size of a model's download. */
export interface PullPlan {
  /** Number of files. */
  readonly files: number;
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes of the files that are not in the cache. */
  readonly missing: number;
}

/** A file, and the commit of the repository that has it. */
interface Wanted {
  readonly repository: string;
  readonly commit: string;
  readonly file: HubFile;
}

/** Names of shards, which are in the same folder as their index. */
const SHARD = /^[\w][\w.-]*\.safetensors$/;
/** A model of 10 TB in the usual shards. */
const MOST_SHARDS = 2000;

/**
 * Returns the transformer's file on the hub.
 *
 * @throws {InputError} `unpublished`: the message lists the models that were published.
 */
export function publishedFile(preset: Preset): string {
  if (preset.file !== null) return preset.file;
  const names = [...PRESETS.values()].filter(({ file }) => file !== null)
    .map(({ name }) => name.replace("infinity-", ""));
  throw new InputError(
    "unpublished",
    `Cannot pull ${preset.name}: it was never published; published models are ${names.join(", ")}`,
  );
}

/**
 * Downloads the files of a model: transformer, VAE, text encoder and tokenizer. Looks all of them up before the first
 * large file, so that a refusal comes at once.
 *
 * @param cache The folder of the hub's cache.
 * @returns Paths of the files.
 * @throws {InputError} `unpublished`.
 * @throws {DownloadError} See {@linkcode downloadFile}.
 * @throws {FileError} See {@linkcode downloadFile}.
 */
export async function pullRelease(
  hub: Repositories,
  cache: string,
  preset: Preset,
  options: PullOptions = {},
): Promise<Release> {
  const main = publishedFile(preset);
  const hasText = preset.config.text_encoder !== undefined;
  const model = await ask(hub, cache, REPOSITORY, [main, ...VAES[preset.vae].files]);
  const vaeName = VAES[preset.vae].files.find((name) => model.has(name));
  if (!vaeName) throw hub.absent(REPOSITORY, VAES[preset.vae].files[0]!);
  const transformer = need(hub, model, main, REPOSITORY);
  const text = hasText &&
    await ask(hub, cache, TEXT_ENCODER.repository, [TEXT_ENCODER.weights, TEXT_ENCODER.tokenizer]);

  const get = ({ repository, commit, file }: Wanted) =>
    downloadFile(hub, cache, repository, commit, file, options);
  const weights = text && need(hub, text, TEXT_ENCODER.weights, TEXT_ENCODER.repository);
  const tokenizer = text && need(hub, text, TEXT_ENCODER.tokenizer, TEXT_ENCODER.repository);
  const wanted = [transformer, model.get(vaeName)!];
  if (weights && tokenizer) wanted.push(weights, tokenizer);
  for (const index of [...wanted]) wanted.push(...await shardsOf(hub, index, get));

  let bytes = 0;
  let missing = 0;
  for (const { repository, commit, file } of wanted) {
    bytes += file.size;
    if (!await isCached(cache, repository, commit, file)) missing += file.size;
  }
  options.onPlan?.({ files: wanted.length, bytes, missing });
  const paths = new Map<Wanted, string>();
  for (const each of wanted) paths.set(each, await get(each));
  return {
    transformer: paths.get(transformer)!,
    vae: paths.get(model.get(vaeName)!)!,
    text: weights && tokenizer
      ? { weights: paths.get(weights)!, tokenizer: paths.get(tokenizer)! }
      : null,
  };
}

/** Looks files up at the current commit of `main`. */
async function ask(
  hub: Repositories,
  cache: string,
  repository: string,
  paths: readonly string[],
): Promise<Map<string, Wanted>> {
  const commit = await hub.commit(repository);
  const files = await hub.files(repository, commit, paths);
  if (!(hub instanceof CachedHub)) await writeRef(cache, repository, commit);
  return new Map(files.map((file) => [file.path, { repository, commit, file }]));
}

function need(
  hub: Repositories,
  of: Map<string, Wanted>,
  path: string,
  repository: string,
): Wanted {
  const found = of.get(path);
  if (found) return found;
  throw hub.absent(repository, path);
}

/** Returns the shards that an index names; none for other files. */
async function shardsOf(
  hub: Repositories,
  index: Wanted,
  get: (wanted: Wanted) => Promise<string>,
): Promise<Wanted[]> {
  const { repository, commit, file: { path } } = index;
  if (!path.endsWith(".safetensors.index.json")) return [];
  const folder = dirname(path);
  const names = shardNames(await Deno.readTextFile(await get(index)), path);
  const paths = names.map((name) => folder === "." ? name : `${folder}/${name}`);
  const files = await hub.files(repository, commit, paths);
  return paths.map((path) => {
    const file = files.find((each) => each.path === path);
    if (!file) throw hub.absent(repository, path);
    return { repository, commit, file };
  });
}

function shardNames(json: string, path: string): string[] {
  try {
    const { weight_map } = JSON.parse(json) as { weight_map: Record<string, string> };
    const names = [...new Set(Object.values(weight_map))].sort();
    const valid = names.length > 0 && names.length <= MOST_SHARDS;
    if (valid && names.every((name) => SHARD.test(name))) return names;
    throw new BitwiseError("bad-index", "no shards");
  } catch (cause) {
    const message = `Cannot use ${path}: ${basename(path)} must list shards in its own folder`;
    throw new DownloadError("bad-index", message, { cause });
  }
}
