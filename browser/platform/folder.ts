/** A model's folder on a web server, whose files are kept in Cache Storage. */

import { blobSource, FileError, InputError, quote } from "../../engine/mod.ts";
import { fileUrl, type Folder, folderAt } from "../../model/checkpoint/place.ts";
import { keptFile } from "../kept_files.ts";

/**
 * Opens a model folder by its URL. Its files were downloaded before.
 *
 * @throws {InputError} `bad-url`.
 */
export function openFolder(folder: string | URL): Folder {
  const base = URL.parse(folder);
  if (!base) {
    throw new InputError("bad-url", `Cannot use model ${quote(`${folder}`)}: it is not a URL`);
  }
  const path = (name: string) => fileUrl(base, name).href;
  return folderAt({
    path,
    has: async (name) => await keptFile(path(name)) !== null,
    async open(name) {
      const url = path(name);
      const kept = await keptFile(url);
      if (kept) return blobSource(url, await kept.blob());
      throw new FileError("file-not-found", `Cannot read ${quote(url)}: it was not downloaded`);
    },
  });
}

/** Whether a model is given by its URL. */
export function isUrl(model: string): boolean {
  return /^https?:\/\//i.test(model);
}
