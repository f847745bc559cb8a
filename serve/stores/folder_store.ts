import { join } from "../../deps/@std/path.ts";
import { FileError } from "../../engine/mod.ts";
import { makeFolder, readSmallFile, writeFileAtomic } from "../../model/checkpoint/files.ts";
import { checkName } from "./names.ts";
import { MAX_FILE, type Store } from "./store.ts";

/** Keeps files in a folder, which is made with the first of them. */
export class FolderStore implements Store {
  /** Keeps files in the folder `path`. */
  constructor(readonly path: string) {}

  /** Writes to a temporary name first. @throws {InputError} @throws {FileError} */
  async put(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    checkName(name);
    await makeFolder(this.path);
    await writeFileAtomic(join(this.path, name), bytes);
  }

  /** Reads a file. @throws {InputError} @throws {FileError} */
  async get(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    checkName(name);
    try {
      return await readSmallFile(join(this.path, name), MAX_FILE);
    } catch (error) {
      if (error instanceof FileError && error.code === "file-not-found") return null;
      throw error;
    }
  }

  /** Whether there is a file of that name. @throws {InputError} */
  async has(name: string): Promise<boolean> {
    checkName(name);
    return await Deno.stat(join(this.path, name)).then(({ isFile }) => isFile, () => false);
  }
}
