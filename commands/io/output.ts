import { extname } from "../../deps/@std/path.ts";
import { UsageError } from "../flags/flags.ts";
import { writeFileAtomic } from "../../model/checkpoint/files.ts";

/** Refuses a file that could not be written, before any work is done for it; writes nothing. */
export async function checkWritable(path: string): Promise<void> {
  const unwritten = new Error("nothing to write yet");
  // deno-lint-ignore require-yield -- it fails where the first bytes are due, with the file open
  async function* nothing(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    throw unwritten;
  }
  await writeFileAtomic(path, nothing()).catch((error) => {
    if (error !== unwritten) throw error;
  });
}

/** The files of a batch: `cat.png`, or `cat-1.png`, `cat-2.png`, … of several. */
export function outputPaths(output: string, count: number): string[] {
  const extension = extname(output);
  if (extension && extension.toLowerCase() !== ".png") {
    throw new UsageError(
      `Cannot write "${output}": images are PNG files, use a name in .png`,
    );
  }
  if (count === 1) return [output];
  const stem = output.slice(0, output.length - extension.length);
  return Array.from({ length: count }, (_, i) => `${stem}-${i + 1}${extension}`);
}
