/**
 * Files of the machine, for Deno: ranged reads of weights, and writes that leave all or nothing.
 *
 * @module
 */

import { dirname, join } from "../../deps/@std/path.ts";
import {
  type ByteSource,
  checkRange,
  FileError,
  quote,
  Safetensors,
  type TensorFile,
} from "../../engine/mod.ts";

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
      // The file has one position, so a seek and its read must not mix with another's.
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
 * Opens a Safetensors file, whole or in shards.
 *
 * @example
 * ```ts ignore
 * const file = await openTensorFile("model/transformer.safetensors");
 * console.log([...file.tensors.keys()]);
 * file.close();
 * ```
 *
 * @param path The path of `X.safetensors`. If there is none, `X.safetensors.index.json` is tried.
 * @throws {FileError} `file-not-found`, `file-unreadable` or `not-a-file`.
 * @throws {SafetensorsError} A rule of the format is broken; the code says which.
 */
export async function openTensorFile(path: string): Promise<TensorFile> {
  if (path.endsWith(".index.json")) return await openShards(path);
  try {
    return await Safetensors.open(await fileSource(path));
  } catch (error) {
    if (!isMissing(error)) throw error;
    return await openShards(`${path}.index.json`).catch((indexError) => {
      // Nothing is there: the name that was asked for says more than that of the index.
      throw isMissing(indexError) ? error : indexError;
    });
  }
}

/**
 * Tells a folder from a file of tensors, whose shards have an index instead of a file of that name.
 *
 * @throws {FileError} `file-not-found`: nothing is at `path`; `file-unreadable`: Deno or the system does not say.
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

/** What to write: bytes, or pieces that are written as they come. */
export type FileContent = Uint8Array | AsyncIterable<Uint8Array>;

/** Options of {@linkcode writeFileAtomic}. */
export interface WriteFileOptions {
  /** Stops the write, and leaves what was there before. */
  readonly signal?: AbortSignal;
}

/**
 * Writes a file as a whole or not at all: into a temporary file beside it, then renamed. If it
 * fails, what was there before stays, and nothing else is left.
 *
 * @example
 * ```ts ignore
 * await writeFileAtomic("cat.png", png, { signal });
 * ```
 *
 * @param path The path of the file, which is replaced if it exists.
 * @param content The bytes. What the pieces throw is passed on.
 * @throws {FileError} `folder-missing`, `not-writable`, `not-a-file`, `disk-full` or
 * `write-failed`.
 * @throws {DOMException} `AbortError`: the signal was aborted.
 */
export async function writeFileAtomic(
  path: string,
  content: FileContent,
  { signal }: WriteFileOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const target = await resolveTarget(path);
  const temp = join(dirname(target), `.bitwise-${crypto.randomUUID()}.tmp`);
  const attempt = <T>(step: Promise<T>): Promise<T> =>
    step.catch((error) => {
      throw writeError(path, error);
    });

  const file = await attempt(Deno.open(temp, { write: true, createNew: true }));
  let renamed = false;
  try {
    try {
      for await (const bytes of content instanceof Uint8Array ? [content] : content) {
        signal?.throwIfAborted();
        for (let at = 0; at < bytes.length;) at += await attempt(file.write(bytes.subarray(at)));
      }
    } finally {
      file.close();
    }
    signal?.throwIfAborted();
    await attempt(Deno.rename(temp, target));
    renamed = true;
  } finally {
    // The error that led here says more than one of the clean-up.
    if (!renamed) await Deno.remove(temp).catch(() => {});
  }
}

function openShards(indexPath: string): Promise<TensorFile> {
  const folder = dirname(indexPath);
  return fileSource(indexPath).then((index) =>
    Safetensors.openSharded(index, (fileName) => fileSource(join(folder, fileName)))
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof FileError && error.code === "file-not-found";
}

/** Follows links, and refuses what a rename would destroy, such as a folder or a device. */
async function resolveTarget(path: string): Promise<string> {
  let isFile = false;
  let target = path;
  try {
    target = await Deno.realPath(path);
    isFile = (await Deno.stat(target)).isFile;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw writeError(path, error);
    isFile = /[^/\\]$/.test(path);
  }
  if (isFile) return target;
  throw new FileError("not-a-file", `Cannot write ${quote(path)}: it is not a file; add a name`);
}

function readError(path: string, cause: unknown): FileError {
  const start = `Cannot read ${quote(path)}: `;
  if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) {
    return new FileError("file-not-found", `${start}no such file; check the path`, { cause });
  }
  if (cause instanceof Deno.errors.IsADirectory) {
    return new FileError("not-a-file", `${start}it is not a file`, { cause });
  }
  const hint = isNotAllowed(cause) ? "allow-read" : undefined;
  return new FileError("file-unreadable", start + why(cause), { cause, hint });
}

function writeError(path: string, cause: unknown): FileError {
  const start = `Cannot write ${quote(path)}: `;
  const folder = quote(dirname(path));
  if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) {
    const message = `${start}folder ${folder} does not exist; create it first`;
    return new FileError("folder-missing", message, { cause });
  }
  if (isDenied(cause) || (cause as { code?: unknown }).code === "EROFS") {
    const hint = isNotAllowed(cause) ? "allow-read-write" : undefined;
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
function isNotAllowed(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable;
}

/** The reason of the system in one line, or what to do about it. */
function why(error: unknown): string {
  if (isNotAllowed(error)) return "Deno was not allowed to";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied; check its owner";
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n")[0].replace(/\.$/, "");
}
