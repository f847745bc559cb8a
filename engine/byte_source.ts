/**
 * Random access to the bytes of a file, wherever it lives.
 *
 * @module
 */

import { FileError, InputError, quote } from "./errors.ts";

/** Something whose bytes can be read range by range: a file, a blob, an array. */
export interface ByteSource {
  /** What error messages call it, such as a path. */
  readonly name: string;
  /** The size in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from byte `offset` on. Concurrent reads are safe.
   *
   * @param into A buffer of `length` bytes or more that may be filled and returned in part: a fresh one for each of a
   * thousand pieces costs more than reading them.
   * @throws {InputError} `range-invalid`: the range is not inside the source.
   * @throws {FileError} `read-failed`: the bytes cannot be read (any more).
   */
  read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives back what the source holds open. Later reads fail. */
  close?(): void;
}

/**
 * A source over bytes in memory. Each read is a copy.
 *
 * @example
 * ```ts ignore
 * const file = await Safetensors.open(bytesSource("weights", await Deno.readFile(path)));
 * ```
 *
 * @param name What error messages call it.
 * @param bytes The bytes, which the source keeps by reference.
 */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
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
 * A source over a `Blob` or `File`, which stays where it is until a range is read.
 *
 * @param name What error messages call it.
 * @param blob The blob.
 */
export function blobSource(name: string, blob: Blob): ByteSource {
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

/**
 * Checks that a range lies inside a source.
 *
 * @throws {InputError} `range-invalid`: it does not.
 */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new InputError(
    "range-invalid",
    `Cannot read ${quote(source.name)}: ${length} bytes at ${offset} are not inside its ` +
      `${source.size} bytes`,
  );
}
