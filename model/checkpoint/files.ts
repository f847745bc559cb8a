/**
 * Local files, through Deno: ranged reads of weights, and atomic writes.
 *
 * @module
 */

import { dirname, join, resolve } from "../../deps/@std/path.ts";
import {
  type ByteSource,
  checkRange,
  FileError,
  quote,
  type TensorFile,
} from "../../engine/mod.ts";
import { openTensors, readSmall } from "./sources.ts";

/**
 * Opens a file as a source of bytes. Ranges are read one at a time, so concurrent reads are safe.
 *
 * @param path The path of a file.
 * @returns The source, which stays open until `close()`.
 * @throws {FileError} `file-not-found`, `file-unreadable` or `not-a-file`.
 */
export async function fileSource(path: string): Promise<Required<ByteSource>> {
  let file: Deno.FsFile;
  try {
    // first, since opening a pipe waits for someone to write into it
    if (!(await Deno.stat(path)).isFile) throw new Deno.errors.IsADirectory();
    file = await Deno.open(path);
  } catch (error) {
    throw readError(path, error);
  }
  const { size, isFile } = await file.stat();
  if (!isFile) {
    file.close();
    throw readError(path, new Deno.errors.IsADirectory());
  }
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();

  async function readRange(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = into?.subarray(0, length) ?? new Uint8Array(length);
    let filled = 0;
    try {
      await file.seek(offset, Deno.SeekMode.Start);
      while (filled < length) {
        const count = await file.read(bytes.subarray(filled));
        if (count === null) break;
        filled += count;
      }
    } catch (cause) {
      throw new FileError("read-failed", `Cannot read ${quote(path)}: ${why(cause)}`, { cause });
    }
    return filled === length ? bytes : bytes.slice(0, filled);
  }

  const source: Required<ByteSource> = {
    name: path,
    size,
    async read(offset, length, into) {
      checkRange(source, offset, length);
      // the file has one position: a seek and its read must not interleave with another's
      const mine = last.then(() => readRange(offset, length, into));
      last = mine.catch(() => {});
      return await mine;
    },
    close() {
      if (!closed) file.close();
      closed = true;
    },
  };
  return source;
}

/**
 * Reads a file that should be small.
 *
 * @param limit The most bytes.
 * @throws {FileError} `too-large`, or as {@linkcode fileSource}.
 */
export async function readSmallFile(path: string, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  return await readSmall(await fileSource(path), limit);
}

/**
 * Opens a Safetensors file, or its shards.
 *
 * @example
 * ```ts ignore
 * const file = await openTensorFile("model/transformer.safetensors");
 * console.log([...file.tensors.keys()]);
 * file.close();
 * ```
 *
 * @param path The path of `X.safetensors`; if it does not exist, `X.safetensors.index.json` is opened.
 * @throws {FileError} `file-not-found`, `file-unreadable` or `not-a-file`.
 * @throws {SafetensorsError} A rule of the format is broken; the code says which.
 */
export async function openTensorFile(path: string): Promise<TensorFile> {
  return await openTensors(path, fileSource);
}

/**
 * Tells a folder from a file of tensors; shards count as a file if their index exists.
 *
 * @throws {FileError} `file-not-found`: `path` does not exist; `file-unreadable`: it cannot be looked up.
 */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (await Deno.stat(`${path}.index.json`).then(() => true, () => false)) return false;
    const missing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (!missing) throw readError(path, error);
    const message = `Cannot read ${quote(path)}: it does not exist; check the path`;
    throw new FileError("file-not-found", message, { cause: error });
  }
}

/** What to write: bytes, or pieces that are written as they arrive. */
export type FileContent = Uint8Array | AsyncIterable<Uint8Array>;

/** Options of {@linkcode writeFileAtomic}. */
export interface WriteFileOptions {
  /** Stops the write and leaves the previous file in place. */
  readonly signal?: AbortSignal;
  /** Whether a file that exists is replaced; true if absent. */
  readonly replace?: boolean;
  /**
   * Whether the temporary file is `PATH.part`, which a killed process leaves and the next write replaces, instead of one
   * of its own: for a file that one process writes again and again; false if absent.
   */
  readonly part?: boolean;
}

/**
 * Writes a file atomically: to a temporary file in the same folder, which is then renamed. If it fails, the previous
 * file stays, and the temporary one is removed. Links are followed, and a replaced file keeps its mode. Anything but a
 * regular file, such as a pipe or a device, is written to directly.
 *
 * @example
 * ```ts ignore
 * await writeFileAtomic("cat.png", png, { signal });
 * ```
 *
 * @param path The path of the file.
 * @param content The bytes. An error that the pieces throw is passed on.
 * @throws {FileError} `folder-missing`, `not-writable`, `not-a-file`, `exists`, `disk-full` or `write-failed`.
 * @throws {DOMException} `AbortError`: the signal was aborted.
 */
export async function writeFileAtomic(
  path: string,
  content: FileContent,
  { signal, replace = true, part = false }: WriteFileOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const pieces = content instanceof Uint8Array ? [content] : content;
  const target = await resolveTarget(path);
  if (target.info && !target.info.isFile) {
    const file = await attempt(path, Deno.open(path, { write: true }));
    return await writeAll(path, file, pieces, signal);
  }
  if (target.info && !replace) throw writeError(path, new Deno.errors.AlreadyExists());
  const temp = part
    ? `${target.path}.part`
    : join(dirname(target.path), `.bitwise-${crypto.randomUUID()}.tmp`);
  const create = part ? { create: true, truncate: true } : { createNew: true };
  const file = await attempt(path, Deno.open(temp, { write: true, ...create }));
  let renamed = false;
  try {
    await writeAll(path, file, pieces, signal, true);
    signal?.throwIfAborted();
    const mode = target.info?.mode;
    if (typeof mode === "number" && Deno.build.os !== "windows") {
      await attempt(path, Deno.chmod(temp, mode & 0o7777));
    }
    renamed = await attempt(path, replace ? rename(temp, target.path) : claim(temp, target.path));
  } finally {
    // an error of the clean-up must not hide the one that led here
    if (!renamed) await Deno.remove(temp).catch(() => {});
  }
}

/**
 * Makes a folder, and those above it, unless it is there.
 *
 * @throws {FileError} As {@linkcode writeFileAtomic}; `exists`: it is a file.
 */
export async function makeFolder(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true }).catch((cause) => {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw writeError(path, cause);
    const message = `Cannot write ${quote(path)}: it is a file; name a folder`;
    throw new FileError("exists", message, { cause });
  });
}

/** Adds bytes to the end of a file, which is made if it is absent. @throws {FileError} As {@linkcode writeFileAtomic}. */
export async function appendToFile(path: string, bytes: Uint8Array): Promise<void> {
  await attempt(path, Deno.writeFile(path, bytes, { append: true }));
}

/** Writes pieces as they come, to the disk itself if that must not lose them, and closes the file. */
async function writeAll(
  path: string,
  file: Deno.FsFile,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  sync = false,
): Promise<void> {
  try {
    for await (const bytes of pieces) {
      signal?.throwIfAborted();
      for (let at = 0; at < bytes.length;) {
        at += await attempt(path, file.write(bytes.subarray(at)));
      }
    }
    if (sync) await attempt(path, file.syncData());
  } finally {
    file.close();
  }
}

/** Waits for a step of a write, and names the path if it fails. */
export function attempt<T>(path: string, step: Promise<T>): Promise<T> {
  return step.catch((error) => {
    throw writeError(path, error);
  });
}

async function rename(temp: string, target: string): Promise<true> {
  await Deno.rename(temp, target);
  return true;
}

/** Gives a file its name unless another program took it in the meantime; returns whether the temporary name is gone. */
async function claim(temp: string, target: string): Promise<boolean> {
  try {
    await Deno.link(temp, target);
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw error;
    // the file system has no hard links
    if (await Deno.lstat(target).then(() => true, () => false)) {
      throw new Deno.errors.AlreadyExists();
    }
    return await rename(temp, target);
  }
}

/** More links than a system follows. */
const MAX_LINKS = 40;

/** Follows links to the end, which may not exist yet. @throws {FileError} `not-a-file`: it is a folder. */
async function resolveTarget(
  path: string,
): Promise<{ readonly path: string; readonly info: Deno.FileInfo | null }> {
  const refuse = (): never => {
    throw new FileError("not-a-file", `Cannot write ${quote(path)}: it is not a file; add a name`);
  };
  let target = path;
  try {
    const info = await Deno.stat(path);
    if (info.isDirectory) return refuse();
    return { path: info.isFile ? await Deno.realPath(path) : path, info };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw error instanceof FileError ? error : writeError(path, error);
    }
  }
  if (!/[^/\\]$/.test(path)) return refuse();
  for (let i = 0; i < MAX_LINKS; i++) {
    const next = await Deno.readLink(target).catch(() => null);
    if (next === null) return { path: target, info: null };
    target = resolve(dirname(target), next);
  }
  throw writeError(path, new Error("too many levels of links"));
}

function readError(path: string, cause: unknown): FileError {
  const start = `Cannot read ${quote(path)}: `;
  if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) {
    return new FileError("file-not-found", `${start}no such file; check the path`, { cause });
  }
  if (cause instanceof Deno.errors.IsADirectory) {
    return new FileError("not-a-file", `${start}it is not a file`, { cause });
  }
  const hint = hintOf(cause, "allow-read");
  return new FileError("file-unreadable", start + why(cause), { cause, hint });
}

function writeError(path: string, cause: unknown): FileError {
  const start = `Cannot write ${quote(path)}: `;
  const folder = quote(dirname(path));
  if (cause instanceof Deno.errors.AlreadyExists) {
    return new FileError("exists", `${start}it exists already`, { cause });
  }
  const missing = cause instanceof Deno.errors.NotFound;
  if (missing || cause instanceof Deno.errors.NotADirectory) {
    const why = missing
      ? `folder ${folder} does not exist; create it first`
      : `${folder} is not a folder; name another`;
    return new FileError("folder-missing", start + why, { cause });
  }
  if (isDenied(cause) || (cause as { code?: unknown }).code === "EROFS") {
    const hint = hintOf(cause, "allow-read-write");
    return new FileError("not-writable", start + why(cause), { cause, hint });
  }
  if (["ENOSPC", "EDQUOT"].includes((cause as { code?: string }).code ?? "")) {
    const message = `${start}the disk is full; free some space or choose another folder`;
    return new FileError("disk-full", message, { cause });
  }
  return new FileError("write-failed", start + why(cause), { cause });
}

function isDenied(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied || isNotAllowed(error);
}

/** Whether Deno refused, not the system. */
function isNotAllowed(error: unknown): error is Deno.errors.NotCapable {
  return error instanceof Deno.errors.NotCapable;
}

/** The hint for what Deno refused: `usual`, or more for a device. */
function hintOf(error: unknown, usual: string): string | undefined {
  if (!isNotAllowed(error)) return undefined;
  return error.message.includes("--allow-all") ? "allow-all" : usual;
}

/** The system's reason in one line, or what to do about it. */
function why(error: unknown): string {
  if (isNotAllowed(error)) return "Deno was not allowed to";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied; check its owner";
  const message = error instanceof Error ? error.message : String(error);
  // not the call and its path, which may be that of a temporary file
  return message.split("\n")[0].replace(/ \(os error .*$|\.$/, "");
}
