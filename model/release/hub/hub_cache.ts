/**
 * Downloads files into the cache that all Hugging Face programs share:
 * `models--ORG--NAME/{blobs/DIGEST, refs/main, snapshots/COMMIT/PATH}`. Files that any of them has downloaded are used,
 * and partial downloads are continued.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { dirname, join, relative } from "../../../deps/@std/path.ts";
import { FileError, formatBytes } from "../../../engine/mod.ts";
import { attempt, makeFolder, writeFileAtomic } from "../../checkpoint/files.ts";
import type { HubFile, Repositories } from "./hub.ts";
import { DownloadError, LEAST_RATE } from "../../download/patience.ts";

/** Progress of a download. */
export interface DownloadProgress {
  /** The file's name in its repository. */
  readonly path: string;
  /** Bytes on disk. */
  readonly done: number;
  /** Bytes that were on disk at the start. */
  readonly before: number;
  readonly total: number;
}

/** Options of {@linkcode downloadFile}. */
export interface DownloadOptions {
  /** Called with each piece that arrives. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Most retries in a row that receive nothing new; 4 if absent. */
  readonly retries?: number;
  /** Milliseconds before the first retry; doubles with each further one. */
  readonly pause?: number;
  /** Whether the cache may link symbolically; true if absent. */
  readonly symlinks?: boolean;
}

/** Returns the folder of a repository. */
export function folderOf(cache: string, repository: string): string {
  return join(cache, `models--${repository.replaceAll("/", "--")}`);
}

/** Records the commit of `main`, which other users of the cache expect. */
export async function writeRef(cache: string, repository: string, commit: string): Promise<void> {
  const path = join(folderOf(cache, repository), "refs", "main");
  if (await Deno.readTextFile(path).catch(() => "") === commit) return;
  await makeFolder(dirname(path));
  await writeFileAtomic(path, new TextEncoder().encode(commit));
}

/** Returns the paths of a file's blob and of the link to it. */
function placesOf(
  cache: string,
  repository: string,
  commit: string,
  { path, digest }: HubFile,
): { blob: string; link: string } {
  const folder = folderOf(cache, repository);
  return {
    blob: join(folder, "blobs", digest),
    link: join(folder, "snapshots", commit, ...path.split("/")),
  };
}

/** Whether a file is in the cache already. */
export async function isCached(
  cache: string,
  repository: string,
  commit: string,
  file: HubFile,
): Promise<boolean> {
  const { blob, link } = placesOf(cache, repository, commit, file);
  return await sizeOf(blob) === file.size || await sizeOf(link) === file.size;
}

/**
 * Downloads a file unless it is in the cache, and checks it against the hub's digest.
 *
 * @returns Its path in the snapshot of the commit.
 * @throws {DownloadError} `wrong-digest`: the file was removed; or the hub refuses, or the connection was lost: the
 * partial file is kept, and the next call continues it.
 * @throws {FileError} `disk-full`: the partial file is kept; `locked`; `not-writable`; `write-failed`.
 */
export async function downloadFile(
  hub: Repositories,
  cache: string,
  repository: string,
  commit: string,
  file: HubFile,
  options: DownloadOptions = {},
): Promise<string> {
  const { blob, link } = placesOf(cache, repository, commit, file);
  // where links are not possible, as on some Windows, it is the file itself
  if (await sizeOf(link) === file.size) return link;
  for (const path of [blob, link]) {
    await makeFolder(dirname(path));
  }
  if (await sizeOf(blob) !== file.size) {
    const partial = `${blob}.incomplete`;
    await fetchInto(partial, hub, repository, commit, file, options);
    await attempt(blob, Deno.rename(partial, blob));
  }
  await attempt(link, place(blob, link, options.symlinks));
  return link;
}

/** Completes a partial file, and checks it. */
async function fetchInto(
  path: string,
  hub: Repositories,
  repository: string,
  commit: string,
  { path: name, size, digest }: HubFile,
  { onProgress, retries = 4, pause = 1000 }: DownloadOptions,
): Promise<void> {
  using file = await attempt(path, Deno.open(path, { read: true, write: true, create: true }));
  if (!await attempt(path, file.tryLock(true))) {
    const message =
      `Cannot download ${name}: another process is downloading it; wait for it to end`;
    throw new FileError("locked", message);
  }
  const open = { path, file, name, size, digest };
  let { done, hash } = await resume(open, hub.signal);
  let before = done;
  for (let failures = 0; done < size;) {
    const [start, since] = [done, performance.now()];
    try {
      for await (const { at, bytes } of hub.read(repository, commit, name, done)) {
        if (at !== done) {
          // the server does not support ranges
          await restart(open);
          [done, before, hash] = [0, 0, newHash(open)];
        }
        if (done + bytes.length > size) throw await wrong(open, "it is longer than it should be");
        await write(open, bytes, done);
        hash.update(bytes);
        done += bytes.length;
        onProgress?.({ path: name, done, before, total: size });
      }
      if (done < size) {
        const message =
          `Cannot download ${name}: the connection was lost; run it again to continue`;
        throw new DownloadError("connection-lost", message, { passing: true });
      }
    } catch (error) {
      if (!(error instanceof DownloadError && error.passing)) throw error;
      // a byte at a time is not progress
      const seconds = (performance.now() - since) / 1000;
      failures = done - start > LEAST_RATE * seconds ? 1 : failures + 1;
      if (failures > retries) throw error;
      await delay(pause * 2 ** (failures - 1), hub.signal);
    }
  }
  const found = hash.digest("hex");
  if (found !== digest) {
    const kind = digest.length === 64 ? "SHA-256" : "git's SHA-1";
    throw await wrong(open, `its ${kind} is ${found.slice(0, 12)}…, not ${digest.slice(0, 12)}…`);
  }
  await attempt(path, file.syncData());
}

interface Open {
  readonly path: string;
  readonly file: Deno.FsFile;
  readonly name: string;
  readonly size: number;
  readonly digest: string;
}

/** Starts a hash; git hashes a header before the content. */
function newHash({ digest, size }: Open): Hash {
  return digest.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

/** Hashes the bytes on disk: the check covers the whole file, also if it arrives in several calls. */
async function resume(open: Open, signal?: AbortSignal): Promise<{ done: number; hash: Hash }> {
  const { size } = await attempt(open.path, open.file.stat());
  const hash = newHash(open);
  if (size > open.size) return await restart(open), { done: 0, hash };
  const buffer = new Uint8Array(2 ** 20);
  let done = 0;
  for (let count; (count = await attempt(open.path, open.file.read(buffer))) !== null;) {
    signal?.throwIfAborted();
    hash.update(buffer.subarray(0, count));
    done += count;
  }
  return { done, hash };
}

async function restart({ path, file }: Open): Promise<void> {
  await attempt(path, file.truncate(0));
  await attempt(path, file.seek(0, Deno.SeekMode.Start));
}

async function write(
  { path, file, name, size }: Open,
  bytes: Uint8Array,
  done: number,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await attempt(path, file.write(bytes.subarray(at))).catch((cause) => {
      if (cause.code !== "disk-full") throw cause;
      const message = `Cannot download ${name}: the disk is full; free ` +
        `${
          formatBytes(size - done)
        } or set HF_HOME to a folder on another disk, then run it again to continue`;
      throw new FileError("disk-full", message, { cause });
    });
  }
}

/** Removes a file of wrong content, which cannot be continued, and returns the error. */
async function wrong({ path, file, name }: Open, why: string): Promise<DownloadError> {
  // Windows does not remove open files; an empty one is as good
  await file.truncate(0).catch(() => {});
  await Deno.remove(path).catch(() => {});
  const message = `Cannot use ${name}: ${why}; it was removed; run it again to download a new copy`;
  return new DownloadError("wrong-digest", message);
}

/** Links relatively, so that the cache can be moved; Windows lets administrators only make links. */
async function place(blob: string, path: string, symlinks = true): Promise<void> {
  await Deno.remove(path).catch(() => {});
  const linked = symlinks ? Deno.symlink(relative(dirname(path), blob), path) : Promise.reject();
  await linked
    .catch(() => Deno.link(blob, path))
    .catch(() => Deno.copyFile(blob, path));
}

async function sizeOf(path: string): Promise<number> {
  return await Deno.stat(path).then(({ size, isFile }) => isFile ? size : -1, () => -1);
}

async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  signal?.throwIfAborted();
}
