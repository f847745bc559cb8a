// A disk that is soon full, or read-only, where this process may mount one.

/** A disk in a folder. */
export interface SmallDisk extends AsyncDisposable {
  /** Makes room. */
  enlarge(): Promise<void>;
  /** Refuses writes from now on; returns whether it does. */
  protect(): Promise<boolean>;
}

async function run(command: string, ...args: string[]): Promise<boolean> {
  const process = new Deno.Command(command, { args, stdout: "null", stderr: "null" });
  return await process.output().then(({ success }) => success, () => false);
}

/** Mounts a disk of `size` bytes if allowed, else makes `write` fail as on a full disk. */
export async function smallDisk(folder: string, size: number): Promise<SmallDisk> {
  await Deno.mkdir(folder, { recursive: true });
  const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;
  if (isRoot && await run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder)) {
    return {
      enlarge: async () => void await run("mount", "-o", "remount,size=64m", folder),
      protect: () => run("mount", "-o", "remount,ro", folder),
      [Symbol.asyncDispose]: async () => void await run("umount", "-l", folder),
    };
  }
  const { write } = Deno.FsFile.prototype;
  let left = size;
  Deno.FsFile.prototype.write = function (bytes: Uint8Array) {
    if (left === 0) return Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
    const part = bytes.subarray(0, left);
    left -= part.length;
    return write.call(this, part);
  };
  const restore = () => Promise.resolve(void (Deno.FsFile.prototype.write = write));
  return {
    enlarge: restore,
    protect: () => Promise.resolve(false),
    [Symbol.asyncDispose]: restore,
  };
}
