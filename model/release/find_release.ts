/**
 * Finds the files of a published model in a folder, downloaded by hand or in the cache of huggingface_hub.
 *
 * @module
 */

import { basename, dirname, join, resolve } from "../../deps/@std/path.ts";
import { CheckpointError, FileError, InputError, quote } from "../../engine/mod.ts";
import { vaeOfName } from "../checkpoint/vae_match.ts";
import { type Preset, PRESETS, REPOSITORY, TEXT_ENCODER, VAES } from "../config/presets.ts";
import { chosenSnapshot, type Snapshots } from "./hub/snapshots.ts";

/** Paths of a model's parts: files, or indices of shards. */
export interface Release {
  readonly transformer: string;
  readonly vae: string;
  /** Null if the model has no text encoder. */
  readonly text: { readonly weights: string; readonly tokenizer: string } | null;
}

/** A hub's cache is five levels deep: models--X/snapshots/HASH/infinity_8b_weights/model.safetensors. */
const DEPTH = 5;
/** A folder with more files or folders than this is not a download. */
const MOST = 10_000;

/** What is below a folder. */
interface Below {
  /** Paths of files, sorted. */
  readonly paths: readonly string[];
  /** Says which folders were left out, since there is no telling which of the snapshots in them is meant; or empty. */
  readonly unclear: string;
}

/** Lists the files below a folder. Follows links, which the hub's cache consists of. */
async function filesBelow(folder: string): Promise<Below> {
  const paths: string[] = [];
  const unclear: string[] = [];
  let visited = 0;
  const visit = async (at: string, depth: number): Promise<void> => {
    const only = await snapshotIn(at);
    if (only?.snapshot === null) {
      const some = only.all.slice(0, 5).map((name) => name.slice(0, 12)).join(", ");
      unclear.push(`; ${quote(at)} has several (${some}) and no refs/main, so give one of them`);
      return;
    }
    for await (const { name } of Deno.readDir(at)) {
      if (only && name !== only.snapshot) continue;
      if (name.startsWith(".") || (name === "blobs" && depth > 0)) continue;
      if (++visited > MOST) {
        throw new InputError(
          "too-many-files",
          `Cannot use ${quote(folder)}: it has too many files`,
        );
      }
      const path = join(at, name);
      const info = await Deno.stat(path).catch(() => null);
      if (info?.isFile) paths.push(path);
      else if (info?.isDirectory && depth < DEPTH) await visit(path, depth + 1);
    }
  };
  await visit(folder, 0).catch((cause) => {
    if (cause instanceof InputError) throw cause;
    const why = cause instanceof Deno.errors.NotFound ? "no such folder" : String(cause.message);
    throw new FileError("file-unreadable", `Cannot read ${quote(folder)}: ${why}`, { cause });
  });
  return { paths: paths.sort(), unclear: unclear.sort()[0] ?? "" };
}

/** The snapshots in a folder, if it is the one for them in the hub's cache. */
async function snapshotIn(folder: string): Promise<Snapshots | null> {
  const path = resolve(folder);
  if (basename(path) !== "snapshots") return null;
  const isCache = basename(dirname(path)).startsWith("models--") ||
    await Deno.stat(join(dirname(path), "blobs")).then(() => true, () => false);
  return isCache ? await chosenSnapshot(dirname(path)) : null;
}

/** Whether a path ends in a name of the hub, or in that name after a conversion to one file. */
function isNamed(path: string, name: string): boolean {
  const plain = path.replaceAll("\\", "/");
  return [name, name.replace(/\.pth$/, ".safetensors")].some((n) => `/${plain}`.endsWith(`/${n}`));
}

/** Selects files of weights; shards are represented by their index. */
function checkpoints(paths: readonly string[]): string[] {
  return paths.filter((path) =>
    /\.(pth|pt|safetensors|safetensors\.index\.json)$/.test(path) &&
    !/-\d{5}-of-\d{5}\.safetensors$/.test(path) && !paths.includes(`${path}.index.json`)
  );
}

function findText(paths: readonly string[]): Release["text"] {
  const names = [basename(TEXT_ENCODER.weights), "model.safetensors", "pytorch_model.bin"];
  const all = paths.filter((path) => basename(path) === TEXT_ENCODER.tokenizer)
    .flatMap((tokenizer) => {
      const weights = names.map((name) => join(dirname(tokenizer), name))
        .find((path) => paths.includes(path));
      return weights ? [{ weights, tokenizer }] : [];
    });
  return all.find(({ weights }) => /t5/i.test(dirname(weights))) ?? all[0] ?? null;
}

function findVae(paths: readonly string[], preset: Preset, folder: string): string | null {
  const { files } = VAES[preset.vae];
  const named = paths.find((path) => files.some((name) => isNamed(path, name)));
  if (named !== undefined) return named;
  const others = checkpoints(paths).filter((path) => /vae/i.test(basename(path)));
  const own = others.filter((path) => vaeOfName(path) === null);
  if (own.length === 1) return own[0]!;
  if (others.length === 0) return null;
  throw new CheckpointError(
    "wrong-vae",
    `Cannot assemble ${quote(folder)}: its VAEs are ${
      others.map((p) => basename(p)).join(", ")
    }, ` +
      `${preset.name} needs ${files[0]} of huggingface.co/${REPOSITORY}`,
  );
}

function findTransformer(
  paths: readonly string[],
  preset: Preset,
  folder: string,
  text: Release["text"],
): string | null {
  const named = paths.find((path) => preset.file !== null && isNamed(path, preset.file));
  if (named !== undefined) return named;
  // a model trained by someone else may have any name
  const found = checkpoints(paths).filter((path) =>
    !/vae/i.test(basename(path)) && path !== text?.weights
  );
  if (found.length <= 1) return found[0] ?? null;
  const names = found.slice(0, 5).map((path) => basename(path)).join(", ");
  throw new CheckpointError(
    "ambiguous",
    `Cannot assemble ${
      quote(folder)
    }: any of ${names} may be the transformer; leave only one there`,
  );
}

/**
 * Finds the files of a model.
 *
 * @throws {CheckpointError} `file-missing`: the message says what is missing and where to get it; `wrong-vae`;
 * `ambiguous`.
 * @throws {FileError} `file-unreadable`.
 */
export async function findRelease(folder: string, preset: Preset): Promise<Release> {
  const { paths, unclear } = await filesBelow(folder);
  const text = findText(paths);
  const transformer = findTransformer(paths, preset, folder, text);
  const vae = findVae(paths, preset, folder);
  const hasText = preset.config.text_encoder !== undefined;
  const missing = [
    transformer === null && (preset.file ?? `a checkpoint of ${preset.name}`),
    vae === null && VAES[preset.vae].files[0],
    hasText && text === null &&
    `${TEXT_ENCODER.tokenizer} and ${TEXT_ENCODER.weights} of ${TEXT_ENCODER.repository}`,
  ].filter((item) => item !== false);
  if (transformer === null || vae === null || missing.length) {
    const hub = `see huggingface.co/${transformer && vae ? TEXT_ENCODER.repository : REPOSITORY}`;
    throw new CheckpointError(
      "file-missing",
      `Cannot assemble ${quote(folder)}: it lacks ${missing.join(", ")}${unclear || `; ${hub}`}`,
    );
  }
  return { transformer, vae, text: hasText ? text : null };
}

/**
 * Returns the preset whose transformer is in a folder.
 *
 * @throws {InputError} `unknown-preset`: the folder has none, or more than one (hint `choose-preset`).
 */
export async function presetOf(folder: string): Promise<Preset> {
  const { paths, unclear } = await filesBelow(folder);
  const found = [...PRESETS.values()].filter(({ file }) =>
    file !== null && paths.some((path) => isNamed(path, file))
  );
  if (found.length === 1) return found[0]!;
  const names = found.map(({ name }) => name).join(" and ");
  throw new InputError(
    "unknown-preset",
    `Cannot assemble ${quote(folder)}: ` +
      (names ? `it holds ${names}` : `no file in it has the name of a published model${unclear}`),
    { hint: "choose-preset" },
  );
}
