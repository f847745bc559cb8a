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
import { dirname, fromFileUrl } from "../../deps/@std/path.ts";
import { webExists, webSource } from "../download/web_source.ts";
import { fileSource, openTensors, readSmall } from "./files.ts";

/** The most bytes of a JSON file; a tokenizer of 256,000 words has 35 MB. */
export const JSON_LIMIT: number = 2 ** 27;

/** A model's files, on disk or on a web server. */
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

/** Where a folder's files are. */
interface Place {
  path(name: string): string;
  has(name: string): Promise<boolean>;
  open(name: string, limit?: number): Promise<ByteSource>;
}

/** A folder on disk, by its path without a final slash. */
function disk(base: string): Place {
  const path = (name: string) => `${base}/${name}`;
  return {
    path,
    has: (name) => Deno.stat(path(name)).then((info) => info.isFile, () => false),
    open: (name) => fileSource(path(name)),
  };
}

/** A folder on a web server. */
function web(folder: URL): Place {
  const url = (name: string) => {
    // encoded, since names of files are not URLs: "?" and "#" must not lead elsewhere
    const parts = name.toWellFormed().split("/").map(encodeURIComponent);
    if (staysInFolder(name)) return new URL(parts.join("/"), folder);
    throw new InputError("unsafe-name", `Cannot use file ${quote(name)}: it is not in its folder`);
  };
  return {
    path: (name) => url(name).href,
    has: (name) => webExists(url(name)),
    open: (name, limit) => webSource(url(name), { limit }),
  };
}

async function readJson({ path, open }: Place, name: string): Promise<unknown> {
  const reading = open(name, JSON_LIMIT).then((source) => readSmall(source, JSON_LIMIT));
  const bytes = await reading.catch((error) => {
    if (!(error instanceof FileError)) throw error;
    const model = "a model is a folder with config.json, see README";
    const why = error.cause instanceof Deno.errors.NotADirectory
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

/**
 * Opens a model folder by its path, `file:` URL or http(s) URL.
 *
 * @throws {InputError} `bad-url`: it looks like a URL, but is not one.
 */
export function openFolder(folder: string | URL): Folder {
  const place = placeOf(folder);
  return {
    path: place.path,
    exists: async (name) => await place.has(name) || await place.has(`${name}.index.json`),
    json: (name) => readJson(place, name),
    tensors: (name) => openTensors(name, (file) => place.open(file)),
  };
}

function placeOf(folder: string | URL): Place {
  if (typeof folder === "string" && !isUrl(folder)) {
    return disk(folder.replace(/[\\/]+$/, "") || "/");
  }
  const refuse = (why: string, cause?: unknown): never => {
    const message = `Cannot use model ${quote(`${folder}`)}: ${why}`;
    throw new InputError("bad-url", message, { cause });
  };
  const url = URL.parse(folder) ?? refuse("it is not a valid URL");
  if (url.protocol === "http:" || url.protocol === "https:") {
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    return web(url);
  }
  if (url.protocol !== "file:") refuse("a URL must begin with https:, http: or file:");
  try {
    return disk(fromFileUrl(url).replace(/[\\/]$/, ""));
  } catch (cause) {
    return refuse("it is not a valid path", cause);
  }
}

/** Whether a model is given by its URL. */
export function isUrl(model: string): boolean {
  return /^(https?|file):\/\//i.test(model);
}
