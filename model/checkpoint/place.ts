/** A model's folder, wherever its files are. */

import {
  type ByteSource,
  CheckpointError,
  FileError,
  InputError,
  quote,
  recognise,
  staysInFolder,
  type TensorFile,
} from "../../engine/mod.ts";
import { dirname } from "../../deps/@std/path.ts";
import { openTensors, readSmall } from "./sources.ts";

/** The most bytes of a JSON file; a tokenizer of 256,000 words has 35 MB. */
export const JSON_LIMIT: number = 2 ** 27;

/** A model's files. */
export interface Folder {
  /** Returns a file's full name, for messages. */
  path(name: string): string;
  /** Whether a file, or its `.index.json`, exists. */
  exists(name: string): Promise<boolean>;
  /** Reads a JSON file. @throws {CheckpointError} `unreadable` or `bad-json`. */
  json(name: string): Promise<unknown>;
  /** Opens a safetensors file or its shards. */
  tensors(name: string): Promise<TensorFile>;
}

/** Where a folder's files are: on disk, on a web server, in a browser's cache. */
export interface Place {
  /** See {@link Folder.path}. */
  path(name: string): string;
  /** Whether there is a file of that name. */
  has(name: string): Promise<boolean>;
  /** Opens a file, which may have at most `limit` bytes. @throws {FileError} `file-not-found`, among others. */
  open(name: string, limit?: number): Promise<ByteSource>;
}

async function readJson({ path, open }: Place, name: string): Promise<unknown> {
  const reading = open(name, JSON_LIMIT).then((source) => readSmall(source, JSON_LIMIT));
  const bytes = await reading.catch((error) => {
    if (!(error instanceof FileError)) throw error;
    const model = "a model is a folder with config.json, see README";
    const why = (error.cause as Error | undefined)?.name === "NotADirectory"
      ? `${quote(dirname(path(name)))} is not a folder; ${model}`
      : error.code === "file-not-found"
      ? `it is missing; ${model}`
      : error.message.replace(`Cannot read ${quote(path(name))}: `, "");
    const { hint } = error;
    const message = `Cannot read ${quote(path(name))}: ${why}`;
    throw new CheckpointError("unreadable", message, { cause: error, hint });
  });
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const known = /^\s*[{[]/.test(text) ? null : recognise(bytes);
    const why = known === null
      ? (cause as Error).message.replace(/\s*\n\s*/g, " ")
      : `it is ${known}`;
    throw new CheckpointError("bad-json", `Cannot read ${quote(path(name))}: ${why}`, { cause });
  }
}

/** The folder at a place. */
export function folderAt(place: Place): Folder {
  return {
    path: place.path,
    exists: async (name) => await place.has(name) || await place.has(`${name}.index.json`),
    json: (name) => readJson(place, name),
    tensors: (name) => openTensors(name, (file) => place.open(file)),
  };
}

/**
 * The URL of a file in a folder on the web.
 *
 * @throws {InputError} `unsafe-name`: the name leads out of the folder.
 */
export function fileUrl(folder: URL, name: string): URL {
  // encoded, since names of files are not URLs: "?" and "#" must not lead elsewhere
  const parts = name.toWellFormed().split("/").map(encodeURIComponent);
  if (staysInFolder(name)) return new URL(parts.join("/"), folder);
  throw new InputError("unsafe-name", `Cannot use file ${quote(name)}: it is not in its folder`);
}
