import { InputError, quote } from "../../engine/mod.ts";
import { fromFileUrl } from "../../deps/@std/path.ts";
import { webExists, webSource } from "../download/web_source.ts";
import { fileSource } from "./files.ts";
import { fileUrl, type Folder, folderAt, type Place } from "./place.ts";

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
  const url = (name: string) => fileUrl(folder, name);
  return {
    path: (name) => url(name).href,
    has: (name) => webExists(url(name)),
    open: (name, limit) => webSource(url(name), { limit }),
  };
}

/**
 * Opens a model folder by its path, `file:` URL or http(s) URL.
 *
 * @throws {InputError} `bad-url`: it looks like a URL, but is not one.
 */
export function openFolder(folder: string | URL): Folder {
  return folderAt(placeOf(folder));
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
