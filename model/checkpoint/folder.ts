import { bytesSource, CheckpointError, Safetensors, type TensorFile } from "../../engine/mod.ts";
import { openTensorFile } from "./files.ts";

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

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(
      "bad-json",
      `Cannot read "${path}": ${(error as Error).message.replace(/\s*\n\s*/g, " ")}`,
      { cause: error },
    );
  }
}

function diskFolder(folder: string | URL): Folder {
  const base = folder instanceof URL
    ? decodeURIComponent(folder.pathname).replace(/^\/([A-Za-z]:)/, "$1").replace(/\/$/, "")
    : folder.replace(/[\\/]+$/, "") || "/";
  const path = (name: string) => `${base}/${name}`;
  const isFile = (name: string) => Deno.stat(path(name)).then((info) => info.isFile, () => false);
  return {
    path,
    exists: async (name) => await isFile(name) || await isFile(`${name}.index.json`),
    async json(name) {
      const text = await Deno.readTextFile(path(name)).catch((error: Error) => {
        const why = error instanceof Deno.errors.NotFound
          ? "it is missing; a model is a folder with config.json, see README"
          : error instanceof Deno.errors.NotADirectory
          ? `"${base}" is not a folder; a model is a folder with config.json, see README`
          : error.message.split("\n")[0];
        throw new CheckpointError("unreadable", `Cannot read "${path(name)}": ${why}`, {
          cause: error,
        });
      });
      return parse(text, path(name));
    },
    tensors: (name) => openTensorFile(path(name)),
  };
}

function webFolder(folder: URL): Folder {
  const path = (name: string) => new URL(name, folder).href;
  const get = async (name: string) => {
    const response = await fetch(path(name)).catch((error: Error) => {
      throw new CheckpointError("unreadable", `Cannot fetch "${path(name)}": ${error.message}`, {
        cause: error,
      });
    });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new CheckpointError("unreadable", `Cannot fetch "${path(name)}": ${response.status}`);
  };
  return {
    path,
    exists: (name) => get(name).then((r) => (r.body?.cancel(), true), () => false),
    json: async (name) => parse(await (await get(name)).text(), path(name)),
    tensors: async (name) =>
      Safetensors.open(bytesSource(path(name), await (await get(name)).bytes())),
  };
}

/** Opens a model folder by its path, `file:` URL or http(s) URL. */
export function openFolder(folder: string | URL): Folder {
  if (typeof folder === "string" && !/^(https?|file):\/\//.test(folder)) return diskFolder(folder);
  const url = new URL(folder);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.protocol === "file:" ? diskFolder(url) : webFolder(url);
}
