import { join } from "../../../deps/@std/path.ts";
import { CheckpointError, quote } from "../../../engine/mod.ts";
import { attempt, makeFolder } from "../../checkpoint/files.ts";

/** Keeps other trainings, of whatever process, from writing into a folder. The system frees it if a process is killed. */
export class FolderLock implements AsyncDisposable {
  private constructor(private readonly path: string, private readonly file: Deno.FsFile) {}

  /**
   * Takes a folder, which is made if it is absent.
   *
   * @throws {CheckpointError} `busy`: another training has it.
   * @throws {FileError} Nothing can be written there.
   */
  static async take(output: string): Promise<FolderLock> {
    const path = join(output, "training.lock");
    await makeFolder(output);
    for (;;) {
      const file = await attempt(path, Deno.open(path, { write: true, create: true }));
      const locked = await attempt(path, file.tryLock(true));
      // a training that ends removes the file, perhaps after it was opened here
      if (locked && await isAt(path, file)) return new FolderLock(path, file);
      file.close();
      if (!locked) break;
    }
    throw new CheckpointError(
      "busy",
      `Cannot train in ${quote(output)}: another training is at work there; name another folder`,
    );
  }

  /** Lets others train in the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    // before others can lock it
    await Deno.remove(this.path).catch(() => {});
    this.file.close();
  }
}

/** Whether a path still leads to a file. */
async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const [here, there] = [await file.stat(), await Deno.stat(path).catch(() => null)];
  return there !== null && there.ino === here.ino && there.dev === here.dev;
}
