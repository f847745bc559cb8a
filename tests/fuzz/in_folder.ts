import { dirname, join } from "@std/path";

/** Makes files in a new folder below the working one, and removes them afterwards. */
export async function inFolder(
  files: readonly (readonly [string, string])[],
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: ".", prefix: "case-" });
  try {
    for (const [path, content] of files) {
      const full = join(folder, path);
      try {
        await Deno.mkdir(dirname(full), { recursive: true });
        await Deno.writeTextFile(full, content);
      } catch (error) {
        // a name may be taken by a file, or too long
        if (!(error instanceof Deno.errors.NotCapable)) continue;
        throw error;
      }
    }
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
