/**
 * Reads inputs completely: files, pipes, devices and stdin, up to a limit.
 *
 * @module
 */

import type { Io } from "./io.ts";
import { standardStream } from "./standard_stream.ts";
import { UsageError } from "../flags/flags.ts";
import { FileError, formatBytes, orAbort, quote } from "../../engine/mod.ts";

/** The most bytes of an image or of bits; a pipe may have no end. */
const MAX_BYTES = 2 ** 30;
/** The most bytes of a prompt. */
const MAX_TEXT = 2 ** 20;

/** The bytes of an input, and what to call it. */
export interface Source {
  /** The path, or `stdin`. */
  readonly name: string;
  /** All of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Terminals whose stdin was read. */
const taken = new WeakSet<Io>();

/**
 * Reads a file, a pipe (`<(…)`, FIFO) or a device to its end; `-` is stdin.
 *
 * @throws {FileError} It cannot be read, or is larger than any image.
 * @throws {UsageError} Stdin is a terminal, or was read before.
 */
export async function readSource(path: string, io: Io, limit = MAX_BYTES): Promise<Source> {
  if (path === "-" || await standardStream(path) === 0) {
    if (io.inIsTerminal && limit > MAX_TEXT) {
      throw new UsageError("Cannot read an image from a terminal: pipe it in, or name a file");
    }
    if (taken.has(io)) throw new UsageError("Cannot read stdin twice: only one input may be -");
    taken.add(io);
    const bytes = await orAbort(io.signal, readStream(io.stdin(), "stdin", limit));
    return { name: "stdin", bytes };
  }
  const info = await Deno.stat(path).catch(() => null);
  if (info === null || info.isFile || info.isDirectory) {
    const { fileSource } = await import("../../model/checkpoint/files.ts");
    const source = await fileSource(path);
    try {
      if (source.size > limit) throw tooLarge(path, limit);
      return { name: path, bytes: await source.read(0, source.size) as Uint8Array<ArrayBuffer> };
    } finally {
      source.close();
    }
  }
  const reading = Deno.open(path).then((file) => readStream(file.readable, path, limit));
  return { name: path, bytes: await orAbort(io.signal, reading) };
}

/**
 * Reads a text such as a prompt, without the line break at its end.
 *
 * @throws {FileError} It cannot be read, is larger than 1 MiB, or is not UTF-8.
 */
export async function readText(path: string, io: Io): Promise<string> {
  return textOf(await readSource(path, io, MAX_TEXT)).replace(/\r?\n$/, "");
}

/** The text of what was read. @throws {FileError} It is not UTF-8. */
export function textOf({ name, bytes }: Source): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FileError("not-text", `Cannot read ${quote(name)}: it is not UTF-8 text`);
  }
}

/** Reads to the end. */
async function readStream(
  stream: ReadableStream<Uint8Array>,
  name: string,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of stream) {
      length += piece.length;
      if (length > limit) throw tooLarge(name, limit);
      pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof FileError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new FileError("read-failed", `Cannot read ${quote(name)}: ${why}`, { cause: error });
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function tooLarge(name: string, limit: number): FileError {
  const message = `Cannot read ${quote(name)}: it has more than ${formatBytes(limit)}`;
  return new FileError("too-large", message);
}
