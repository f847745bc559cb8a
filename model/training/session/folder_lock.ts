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
    const file = await attempt(path, Deno.open(path, { write: true, create: true }));
    if (await attempt(path, file.tryLock(true))) return new FolderLock(path, file);
    file.close();
    throw new CheckpointError(
      "busy",
      `Cannot train in ${quote(output)}: another training is at work there; name another folder`,
    );
  }

  /** Lets others train in the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.file.close();
    await Deno.remove(this.path).catch(() => {});
  }
}
