/** Brings the files of a model to this browser. */

import { blobSource, CheckpointError, FileError, quote, readIndex } from "../engine/mod.ts";
import { fileUrl } from "../model/checkpoint/place.ts";
import { parseConfig } from "../model/config/config.ts";
import { askServer, type FileOffer, keepFile, keptFile, keptSize } from "./kept_files.ts";

/** How far the model is on its way to the GPU. */
export interface LoadProgress {
  /** `download`: bytes come from the server; `cache`: they were kept from a visit before; `load`: the GPU gets them. */
  readonly stage: "download" | "cache" | "load";
  /** The file that comes, or that is loaded, by its name in the model's folder. */
  readonly file: string;
  /** Bytes that are here, of all files. */
  readonly done: number;
  /** Bytes of all files. */
  readonly total: number;
}

/** A file that is to be had. */
interface Wanted {
  readonly name: string;
  readonly url: string;
  /** Null if the server cannot be reached: then the kept file counts. */
  readonly offer: FileOffer | null;
  /** Bytes that are kept of it; null if it must be downloaded. */
  readonly kept: number | null;
}

/** Where from, and who wants to know of it. */
export interface DownloadOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Downloads what is not kept, or has changed on the server. What is kept is enough where the server cannot be reached.
 *
 * @param folder The model's folder; its path ends with a slash.
 * @returns Bytes of all files.
 * @throws {FileError} A file is missing, or cannot be downloaded or kept.
 * @throws {CheckpointError | ConfigError} config.json is wrong.
 * @throws {SafetensorsError} An index of shards is wrong.
 * @throws The reason of `signal`, once it is aborted.
 */
export async function downloadModel(
  folder: URL,
  { onProgress, signal }: DownloadOptions,
): Promise<number> {
  const ask = (name: string) => look(fileUrl(folder, name).href, name, signal);
  const need = async (name: string) => await ask(name) ?? missing(folder, name);
  // one that says what the others are, and is small
  const first = async (name: string, of = name): Promise<Wanted> => {
    const file = await ask(name) ?? missing(folder, of);
    if (file.kept === null) await keepFile(file.url, file.offer!, () => {}, signal);
    return { ...file, kept: await keptSize(file.url, null) };
  };
  const config = await first("config.json");
  const { files, text_encoder } = parseConfig(await readJson(config.url), config.url);
  const wanted = [config];
  if (text_encoder) wanted.push(await need(files.tokenizer));
  for (const name of [files.transformer, files.vae, ...text_encoder ? [files.text_encoder] : []]) {
    const whole = await ask(name);
    const index = whole ?? await first(`${name}.index.json`, name);
    wanted.push(index);
    if (whole) continue;
    const { tensorsOf } = await readIndex(
      blobSource(index.url, await (await keptFile(index.url))!.blob()),
    );
    for (const shard of tensorsOf.keys()) {
      wanted.push(await need(name.replace(/[^/]*$/, "") + shard));
    }
  }
  return await bring(wanted, { onProgress, signal });
}

/** Downloads files one after the other, those that are kept first. */
async function bring(
  wanted: readonly Wanted[],
  { onProgress, signal }: DownloadOptions,
): Promise<number> {
  const total = wanted.reduce((sum, { kept, offer }) => sum + (kept ?? offer!.size), 0);
  let done = 0;
  for (const { name, kept } of wanted) {
    if (kept === null) continue;
    done += kept;
    onProgress?.({ stage: "cache", file: name, done, total });
  }
  for (const { name, url, offer, kept } of wanted) {
    if (kept !== null) continue;
    const onBytes = (count: number) => {
      // a server that compresses may say less than comes
      done = Math.min(total, done + count);
      onProgress?.({ stage: "download", file: name, done, total });
    };
    await keepFile(url, offer!, onBytes, signal);
  }
  return total;
}

/** Asks for a file, here and there; null if there is none. */
async function look(url: string, name: string, signal?: AbortSignal): Promise<Wanted | null> {
  const offer = await askServer(url, signal);
  if (offer === null) return null;
  if (offer !== "unreachable") return { name, url, offer, kept: await keptSize(url, offer) };
  const kept = await keptSize(url, null);
  if (kept !== null) return { name, url, offer: null, kept };
  const message = `Cannot reach ${quote(new URL(url).origin)}; check the connection`;
  // a model has either a file or its shards: the index may be here
  if (await keptFile(`${url}.index.json`)) return null;
  throw new FileError("connection-lost", message);
}

function missing(folder: URL, name: string): never {
  const message = `Cannot open model ${quote(folder.href)}: it has no ${name}; ` +
    "give the URL of a model's folder";
  throw new FileError("file-not-found", message);
}

async function readJson(url: string): Promise<unknown> {
  try {
    return await (await keptFile(url))!.json();
  } catch (cause) {
    const message = `Cannot read ${quote(url)}: it is not JSON`;
    throw new CheckpointError("bad-json", message, { cause });
  }
}
