/**
 * The cache in place of the hub, for those who want no network: HF_HUB_OFFLINE.
 *
 * @module
 */

import { basename, join } from "../../../deps/@std/path.ts";
import { DownloadError } from "../../download/patience.ts";
import type { HubFile, Piece, Repositories } from "./hub.ts";
import { folderOf } from "./hub_cache.ts";
import { chosenSnapshot } from "./snapshots.ts";

/** What the cache holds; asks no one. */
export class CachedHub implements Repositories {
  /** The folder of the cache. */
  readonly name: string;

  constructor(cache: string, readonly signal?: AbortSignal) {
    this.name = cache;
  }

  async commit(repository: string): Promise<string> {
    const { snapshot } = await chosenSnapshot(folderOf(this.name, repository));
    if (snapshot !== null) return snapshot;
    throw this.#missing(repository);
  }

  async files(repository: string, commit: string, paths: readonly string[]): Promise<HubFile[]> {
    const found: HubFile[] = [];
    for (const path of paths) {
      const at = join(folderOf(this.name, repository), "snapshots", commit, ...path.split("/"));
      const info = await Deno.stat(at).catch(() => null);
      if (!info?.isFile) continue;
      // a link has the name of its blob, its digest; nothing is checked against it
      const digest = basename(await Deno.readLink(at).catch(() => ""));
      found.push({ path, size: info.size, digest });
    }
    return found;
  }

  // deno-lint-ignore require-yield -- there is nothing to read that is not there already
  async *read(repository: string, _commit: string, path: string): AsyncGenerator<Piece> {
    throw this.absent(repository, path);
  }

  absent(repository: string, path: string): DownloadError {
    return this.#missing(`${path} of ${repository}`);
  }

  #missing(what: string): DownloadError {
    const message = `Cannot download ${what}: HF_HUB_OFFLINE forbids it, and ${this.name} lacks it`;
    return new DownloadError("offline", message);
  }
}
