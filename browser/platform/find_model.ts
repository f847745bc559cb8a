/** Finds a model, in a browser: by its URL alone. */

import { FileError } from "../../engine/mod.ts";

/** No folder: a page says which model it has. */
export const DEFAULT_MODEL: URL = new URL("model/", import.meta.url);

/** Returns the URL. @throws {FileError} `model-not-found`: there is none. */
export function findModel(model?: string | URL): Promise<string | URL> {
  if (model !== undefined) return Promise.resolve(model);
  const message = "Cannot find a model: give the URL of its folder";
  return Promise.reject(new FileError("model-not-found", message));
}
