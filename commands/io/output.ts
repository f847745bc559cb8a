/**
 * Where results go: files that replace nothing unless asked to, pipes and devices, or stdout.
 *
 * @module
 */

import { extname, resolve } from "../../deps/@std/path.ts";
import { type Io, note } from "./io.ts";
import { firstFree, firstNumber, movedText, namer, namesFrom } from "./naming.ts";
import { standardStream } from "./standard_stream.ts";
import { UsageError } from "../flags/flags.ts";
import { FileError, orAbort, quote } from "../../engine/mod.ts";
import { writeFileAtomic } from "../../model/checkpoint/files.ts";

/** A file to be written. */
export interface Target {
  /** Its path; `-` is stdout. */
  readonly path: string;
  /** Its number, for `--output-begin-idx`. */
  readonly number: number;
  /** Other paths to take if it exists by the time it is written, in their order. */
  readonly others: IteratorObject<string>;
}

/** How files are named. */
export interface Naming {
  /** Number of files; 1 if absent. */
  readonly count?: number;
  /** Number of the first; 1 if absent, 0 for a pattern such as `%03d`. */
  readonly begin?: number;
  /** What it holds; an image if absent. */
  readonly kind?: Kind;
}

/** What a file holds, which decides how it may be named: tensors have any name. */
export type Kind = "image" | "bits" | "tensors";

/** What one command writes. */
export class Output {
  /** Paths that are promised to a file. */
  readonly #promised: Set<string> = new Set();

  /** Messages about names that were taken, printed once the first file is written. */
  #moved: string[] = [];
  #toStdout = false;
  readonly #overwrite: boolean;
  readonly #json: boolean;

  /** Replaces files if `overwrite`; with `json`, stdout is not free. */
  constructor(
    private readonly io: Io,
    { overwrite = false, json = false }: { readonly overwrite?: boolean; readonly json?: boolean },
  ) {
    this.#overwrite = overwrite;
    this.#json = json;
  }

  /** Prints the path of a file, unless stdout is taken by a file. A closed pipe does not stop the work. */
  print(path: string): void {
    if (this.#toStdout) return;
    try {
      this.io.out(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  /**
   * Chooses the names of files, and refuses names that could not be written, before any work is done for them. Writes
   * nothing.
   *
   * @throws {UsageError} A name has the wrong extension, or was given twice.
   * @throws {FileError} A name cannot be written.
   */
  async choose(name: string, naming: Naming = {}): Promise<Target[]> {
    const { count = 1, kind = "image" } = naming;
    if (await isStream(name)) {
      if (count > 1 && !await isDevice(name)) {
        throw new UsageError(
          `Cannot write ${count} images to ${name === "-" ? "stdout" : quote(name)}: name a file`,
        );
      }
      if (await isStdout(name)) this.#takeStdout();
      return Array<Target>(count).fill({ path: name, number: 1, others: Iterator.from([]) });
    }
    checkExtension(name, kind);
    const nameOf = namer(name, count, naming.begin);
    // a file of an earlier command is stepped over, but a name that this command uses twice is a mistake
    const first = this.#overwrite ? 0 : await firstFree(nameOf, count);
    const targets = Array.from({ length: count }, (_, i): Target => ({
      path: nameOf(first + i),
      number: firstNumber(name, naming.begin) + first + i,
      others: namesFrom(nameOf, first + count),
    }));
    for (const { path } of targets) {
      if (this.#promised.has(resolve(path))) {
        throw new UsageError(`Cannot write "${path}" twice: give each file a name of its own`);
      }
      this.#promised.add(resolve(path));
    }
    for (const [i, { path }] of targets.entries()) {
      // the first stands for all, unless one that is to be replaced is a folder
      if (i === 0 || this.#overwrite && await isFolder(path)) await checkWritable(path);
    }
    if (first > 0) this.#moved.push(movedText(nameOf, first, count));
    return targets;
  }

  /** {@link Output.choose} for one file. */
  async chooseOne(name: string, naming: Naming = {}): Promise<Target> {
    return (await this.choose(name, naming))[0]!;
  }

  /**
   * Writes a file, and returns the path that it has.
   *
   * @throws {FileError} It cannot be written.
   */
  async write({ path, others }: Target, bytes: Uint8Array): Promise<string> {
    const { signal } = this.io;
    for (const line of this.#moved.splice(0)) note(this.io, line);
    if (await isStdout(path)) return this.#writeStdout(path, bytes);
    if (await isStream(path)) {
      // opening a pipe waits for its reader
      await orAbort(signal, writeFileAtomic(path, bytes, { signal }));
      return path;
    }
    const replace = this.#overwrite;
    for (const at of [path, ...replace ? [] : others.take(10_000)]) {
      try {
        await writeFileAtomic(at, bytes, { signal, replace });
        if (at !== path) note(this.io, `${path} was made by another program: wrote ${at}`);
        return at;
      } catch (error) {
        if (!(error instanceof FileError) || error.code !== "exists") throw error;
      }
    }
    throw new FileError(
      "exists",
      `Cannot write ${quote(path)}: it exists, and so do the next names`,
    );
  }

  #takeStdout(): void {
    if (this.#json) throw new UsageError("Cannot use --json with -o -: both write to stdout");
    if (this.#toStdout) throw new UsageError("Cannot write two files to stdout: name one of them");
    if (this.io.outIsTerminal) {
      throw new UsageError("Cannot write a file to a terminal: redirect it, or use --output");
    }
    this.#toStdout = true;
  }

  #writeStdout(path: string, bytes: Uint8Array): string {
    try {
      this.io.outBytes(bytes);
    } catch (cause) {
      const full = (cause as { code?: string }).code === "ENOSPC";
      const why = cause instanceof Deno.errors.BrokenPipe
        ? "the program that reads it has ended"
        : full
        ? "no space is left on the device"
        : (cause as Error).message;
      throw new FileError("write-failed", `Cannot write to stdout: ${why}`, { cause });
    }
    return path;
  }
}

/** Refuses a file that could not be written; writes nothing. @throws {FileError} */
export async function checkWritable(path: string): Promise<void> {
  const unwritten = new Error("nothing to write yet");
  // deno-lint-ignore require-yield -- it fails where the first bytes are due, with the file open
  async function* nothing(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    throw unwritten;
  }
  if (await isStream(path)) return;
  await writeFileAtomic(path, nothing()).catch((error) => {
    if (error !== unwritten) throw error;
  });
}

/** Whether a path is stdout, a pipe or a device: written as it is, and never replaced. */
async function isStream(path: string): Promise<boolean> {
  if (path === "-" || await standardStream(path) !== undefined) return true;
  const info = await Deno.stat(path).catch(() => null);
  return info !== null && !info.isFile && !info.isDirectory;
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

async function isStdout(path: string): Promise<boolean> {
  return path === "-" || await standardStream(path) === 1;
}

/** Whether a path is a device such as `/dev/null`, which takes any number of files. */
async function isDevice(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isCharDevice }) => isCharDevice === true, () => false);
}

function checkExtension(name: string, kind: Kind): void {
  const given = extname(name).toLowerCase();
  if (kind === "tensors" || (kind === "image" && given === "")) return;
  const [extension, what] = kind === "image"
    ? [".png", "images are PNG files"]
    : [".safetensors", "bits are safetensors files"];
  if (given === extension) return;
  throw new UsageError(`Cannot write "${name}": ${what}, use a name that ends in ${extension}`);
}
