// A disk that is soon full, or read-only, where this process may mount one.

/** A disk in a folder. */
export interface SmallDisk extends AsyncDisposable {
  /** Makes room. */
  enlarge(): Promise<void>;
  /** Refuses writes from now on; only where {@link MAY_MOUNT}. */
  protect(): Promise<void>;
}

async function run(command: string, ...args: string[]): Promise<boolean> {
  const process = new Deno.Command(command, { args, stdout: "null", stderr: "null" });
  return await process.output().then(({ success }) => success, () => false);
}

async function mount(folder: string, size: number): Promise<boolean> {
  const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;
  return isRoot && await run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder);
}

async function mayMount(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  const may = await mount(folder, 4096);
  if (may) await run("umount", "-l", folder);
  await Deno.remove(folder);
  return may;
}

/** Whether this process may mount disks: read-only ones cannot be had otherwise. */
export const MAY_MOUNT: boolean = await mayMount();

/** Ends the name of a test that needs {@link MAY_MOUNT}. */
export const MOUNTED: string = MAY_MOUNT ? "" : " (skipped: no disk may be mounted here)";

/** Mounts a disk of `size` bytes if allowed, else makes `write` fail as on a full disk. */
export async function smallDisk(folder: string, size: number): Promise<SmallDisk> {
  await Deno.mkdir(folder, { recursive: true });
  if (MAY_MOUNT) {
    await mount(folder, size);
    return {
      enlarge: async () => void await run("mount", "-o", "remount,size=64m", folder),
      protect: async () => void await run("mount", "-o", "remount,ro", folder),
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
    protect: () => Promise.reject(new Error("no disk may be mounted here")),
    [Symbol.asyncDispose]: restore,
  };
}
