/**
 * Random access to the bytes of a file, wherever it lives.
 *
 * @module
 */

import { FileError, InputError, quote } from "../base/errors.ts";

/** A source of bytes that are read range by range: a file, a blob, an array. */
export interface ByteSource {
  /** Name in error messages, such as a path. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from byte `offset` on. Concurrent reads are safe.
   *
   * @param into A buffer of at least `length` bytes. The source may fill its beginning and return that part: allocating
   * a buffer for each of a thousand pieces costs more than reading them.
   * @throws {InputError} `range-invalid`: the range is not inside the source.
   * @throws {FileError} `read-failed`: the bytes cannot be read, or can no longer be read.
   */
  read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes what the source holds open. Later reads fail. */
  close?(): void;
}

/**
 * Makes a source of bytes in memory. Each read returns a copy.
 *
 * @example
 * ```ts ignore
 * const file = await Safetensors.open(bytesSource("weights", await Deno.readFile(path)));
 * ```
 *
 * @param name Name in error messages.
 * @param bytes The bytes; the source keeps a reference.
 * @throws {InputError} `bad-type`.
 */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  checkSource(name, bytes instanceof Uint8Array, "a Uint8Array");
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      try {
        checkRange(this, offset, length);
        return Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length)));
      } catch (error) {
        return Promise.reject(error);
      }
    },
  };
}

/**
 * Makes a source of a `Blob` or `File`, whose bytes stay where they are until they are read.
 *
 * @param name Name in error messages.
 * @param blob The blob.
 * @throws {InputError} `bad-type`.
 */
export function blobSource(name: string, blob: Blob): ByteSource {
  checkSource(name, blob instanceof Blob, "a Blob");
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(this, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        const message = `Cannot read ${quote(name)}: the blob is no longer readable; open it again`;
        throw new FileError("read-failed", message, { cause });
      }
    },
  };
}

/** Checks what a source is made of, for callers without a type checker. */
function checkSource(name: unknown, fits: boolean, what: string): void {
  if (typeof name === "string" && fits) return;
  throw new InputError("bad-type", `Cannot make a source of bytes: it takes a name and ${what}`);
}

/**
 * Checks that a range lies inside a source.
 *
 * @throws {InputError} `range-invalid`: the range is not inside the source.
 */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  const exact = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (exact && offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new InputError(
    "range-invalid",
    `Cannot read ${quote(source.name)}: ${length} bytes at ${offset} are not inside its ` +
      `${source.size} bytes`,
  );
}
