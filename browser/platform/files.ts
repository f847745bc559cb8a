/** Local files, in a browser: there are none. */

import { FileError, quote } from "../../engine/mod.ts";

function refuse(path: string): Promise<never> {
  const message = `Cannot use ${quote(path)}: a browser has no files; give a URL`;
  return Promise.reject(new FileError("file-not-found", message));
}

/** Rejects. @throws {FileError} `file-not-found`. */
export const fileSource: (path: string) => Promise<never> = refuse;
/** Rejects. @throws {FileError} `file-not-found`. */
export const openTensorFile: (path: string) => Promise<never> = refuse;
/** Rejects. @throws {FileError} `file-not-found`. */
export const makeFolder: (path: string) => Promise<never> = refuse;
/** Rejects. @throws {FileError} `file-not-found`. */
export const writeFileAtomic: (path: string) => Promise<never> = refuse;
