/**
 * Downloads a model of the box into the user's cache, where the code came without it: from a package registry, or as
 * one bundled or compiled file.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { dirname, join } from "../../deps/@std/path.ts";
import { FileError } from "../../engine/mod.ts";
import { fetchFollowing, readBody } from "../download/fetch.ts";
import { DownloadError, Patience } from "../download/patience.ts";
import { BOX_MODELS, type BoxFile } from "./box_models.ts";
import { makeFolder, writeFileAtomic } from "./files.ts";

/** How far the download of a model has come. */
export interface ModelProgress {
  /** The model's name. */
  readonly model: string;
  /** Bytes that are there, of all its files. */
  readonly done: number;
  /** Bytes of all its files. */
  readonly total: number;
}

/** Options of {@linkcode downloadModel}. */
export interface DownloadModelOptions {
  /** URLs to try in turn; each holds a folder per model, and ends in `/`. */
  readonly bases: readonly string[];
  /** The folder to keep models in. */
  readonly cache: string;
  /** Stops the download; files that are complete are kept. */
  readonly signal?: AbortSignal;
  /** Called with each piece that arrives; not called if all files are there. */
  readonly onProgress?: (progress: ModelProgress) => void;
  /** The most milliseconds to wait for the next bytes; a minute if absent. */
  readonly patience?: number;
}

/**
 * Returns the folder of a model in the cache, and downloads what it lacks. A file gets its name once its SHA-256 was
 * verified, so an interrupted download leaves complete files only, and the next one fetches the rest. The folder's name
 * changes with its content: another version of the package has its own.
 *
 * @throws {DownloadError} One line that says why, and that a model folder can be given instead.
 * @throws {FileError} The cache cannot be written.
 * @throws The reason of `signal`, once it is aborted.
 */
export async function downloadModel(name: string, options: DownloadModelOptions): Promise<string> {
  const files = BOX_MODELS[name]!;
  const folder = join(options.cache, `${name}-${versionOf(files)}`);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const file of files) {
    const path = join(folder, ...file.path.split("/"));
    if (!await isThere(path, file.size)) {
      await makeFolder(dirname(path));
      const report = (bytes: number) =>
        options.onProgress?.({ model: name, done: done + bytes, total });
      await writeFileAtomic(path, fetchFile(name, file, options, report), options);
    }
    done += file.size;
  }
  return folder;
}

/**
 * Returns the folder that keeps downloaded models, as the operating system would have it.
 *
 * @param env Reads an environment variable.
 * @throws {FileError} `no-cache`: no variable names a folder.
 */
export function modelCache(
  env: (name: string) => string | undefined,
  os: typeof Deno.build.os = Deno.build.os,
): string {
  const home = env("HOME") || env("USERPROFILE");
  const cache = env("XDG_CACHE_HOME") ||
    (os === "windows" && env("LOCALAPPDATA")) ||
    (home && join(home, os === "darwin" ? "Library/Caches" : ".cache"));
  if (cache) return join(cache, "bitwise", "models");
  throw new FileError(
    "no-cache",
    "Cannot find a folder for downloaded models: set XDG_CACHE_HOME and let Deno read it, " +
      "or give the path of a model folder",
  );
}

/** A short digest of all files' digests. */
function versionOf(files: readonly BoxFile[]): string {
  const hash = createHash("sha256");
  for (const { path, sha256 } of files) hash.update(`${path} ${sha256}\n`);
  return hash.digest("hex").slice(0, 12);
}

async function isThere(path: string, size: number): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile && info.size === size, () => false);
}

/** Yields a file's bytes, and throws at their end unless they are those that were published. */
async function* fetchFile(
  model: string,
  { path, size, sha256 }: BoxFile,
  { bases, signal, patience: ms }: DownloadModelOptions,
  report: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const what = `${path} of ${model}`;
  using patience = new Patience(ms, signal);
  const hash = createHash("sha256");
  let done = 0;
  try {
    const response = await request(bases, `${model}/${path}`, what, patience);
    for await (const bytes of readBody(response, what, patience)) {
      hash.update(bytes);
      done += bytes.length;
      if (done > size) break;
      report(done);
      yield bytes;
    }
    if (done === size && hash.digest("hex") === sha256) return;
    const why = done === size ? "its SHA-256 is not the one it should have" : "its size is wrong";
    throw new DownloadError("wrong-digest", `Cannot use ${what}: ${why}`);
  } catch (error) {
    if (!(error instanceof DownloadError)) throw error;
    const { code, message, hint } = error;
    const advice = `${message}; or give the path of a model folder`;
    throw new DownloadError(code, advice, { cause: error, hint });
  }
}

/** The answer of the first server that has the file. One that cannot be reached is an error only if it is the last. */
async function request(
  bases: readonly string[],
  path: string,
  what: string,
  patience: Patience,
): Promise<Response> {
  const refusals: string[] = [];
  for (const base of bases) {
    const url = new URL(path, base);
    // bytes of the file, not of a packed form of it
    const headers = () => new Headers({ "accept-encoding": "identity" });
    try {
      const response = await fetchFollowing(url, { what, patience, headers });
      if (response.ok) return response;
      await response.body?.cancel();
      refusals.push(`${url.origin} answers ${response.status}`);
    } catch (error) {
      if (!(error instanceof DownloadError) || base === bases.at(-1)) throw error;
    }
  }
  throw new DownloadError("not-found", `Cannot download ${what}: ${refusals.join(", ")}`);
}
