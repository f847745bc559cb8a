/**
 * Which of a repository's commits counts, in the cache of huggingface_hub: `snapshots/COMMIT` holds one each, and
 * `refs/main` names the one of the main branch.
 *
 * @module
 */

import { join } from "../../../deps/@std/path.ts";
import { readSmallFile } from "../../checkpoint/files.ts";

/** The commits of a repository that are in the cache. */
export interface Snapshots {
  /** The one to take; null if there is none, or no telling which. */
  readonly snapshot: string | null;
  /** All, sorted. */
  readonly all: readonly string[];
}

/**
 * Chooses the commit that `refs/main` names, else the only one.
 *
 * @param repository The folder that holds `snapshots`.
 */
export async function chosenSnapshot(repository: string): Promise<Snapshots> {
  const all: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(join(repository, "snapshots"))) {
      if (!isFile && !name.startsWith(".")) all.push(name);
    }
  } catch {
    return { snapshot: null, all };
  }
  all.sort();
  const ref = await readSmallFile(join(repository, "refs", "main"), 4096).catch(() => null);
  const main = ref && new TextDecoder().decode(ref).trim();
  const snapshot = all.find((name) => name === main) ?? (all.length === 1 ? all[0]! : null);
  return { snapshot, all };
}
