/**
 * Reads Safetensors files, whole or in shards, range by range.
 *
 * @module
 */

import type { ByteSource } from "./byte_source.ts";
import { type Dtype, type FileData, toFloat32, viewAs } from "./dtype.ts";
import { BitwiseError, formatBytes, InputError, OutOfMemoryError, quote } from "../base/errors.ts";
import {
  countElements,
  HEADER_LIMIT,
  parseHeader,
  readExactly,
  refuseFor,
} from "./safetensors_header.ts";
import { recognise } from "./recognise.ts";
import { readIndex } from "./safetensors_index.ts";

/** Most bytes that are read as one array; {@linkcode TensorFile.chunks} reads larger tensors. */
const READ_LIMIT = 2 ** 31;

/** What a tensor is, and where its bytes are. */
export interface TensorInfo {
  /** Name, as in the checkpoint. */
  readonly name: string;
  /** Type of the elements. */
  readonly dtype: Dtype;
  /** Sizes of the dimensions, outermost first; empty for a single number. */
  readonly shape: readonly number[];
  /** Offset of the first byte in `source`. */
  readonly offset: number;
  /** Size in bytes. */
  readonly byteLength: number;
  /** Number of elements. */
  readonly elements: number;
  /** File that holds it. */
  readonly source: ByteSource;
}

/** A piece of a tensor. */
export interface TensorChunk {
  /** Offset of the first byte in the tensor, a multiple of 8. */
  readonly offset: number;
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Tensors by name, from one file or from several shards. */
export interface TensorFile {
  /** Name in error messages: the file, or the index of the shards. */
  readonly name: string;
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** All tensors, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Returns what a tensor is and where it is.
   *
   * @throws {SafetensorsError} `tensor-missing`: no tensor has this name.
   */
  get(name: string): TensorInfo;
  /**
   * Reads a tensor as it is stored.
   *
   * @throws {SafetensorsError} `tensor-missing`: no tensor has this name.
   * @throws {OutOfMemoryError} `tensor-too-large`: it takes more than 2 GiB.
   */
  read(name: string): Promise<FileData>;
  /**
   * Reads a tensor and converts it to f32.
   *
   * @throws {SafetensorsError} `tensor-missing`: no tensor has this name.
   * @throws {OutOfMemoryError} `tensor-too-large`: it takes more than 2 GiB.
   */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /**
   * Reads a tensor in pieces, in order, so that it is never completely in memory. Reads one piece ahead.
   *
   * @param name The tensor.
   * @param maxBytes Most bytes of a piece, at least 8; rounded down to a multiple of 8.
   * @param scratch Two buffers of `maxBytes` bytes that may be used for the pieces in turn. Each is then valid only
   * until the next.
   * @throws {SafetensorsError} `tensor-missing`: no tensor has this name.
   * @throws {InputError} `chunk-size`: `maxBytes` is less than 8.
   */
  chunks(
    name: string,
    maxBytes?: number,
    scratch?: readonly Uint8Array<ArrayBuffer>[],
  ): AsyncGenerator<TensorChunk, void, void>;
  /** Closes the file or all shards. */
  close(): void;
}

/**
 * A Safetensors file, or several shards with an index. Opening one reads only headers.
 *
 * @example
 * ```ts ignore
 * const file = await Safetensors.open(await fileSource("vae.safetensors"));
 * console.log(file.get("decoder.conv_in.weight").shape);
 * const bias = await file.readFloat32("decoder.conv_in.bias");
 * for await (const { offset, bytes } of file.chunks("decoder.conv_in.weight")) {
 *   device.queue.writeBuffer(buffer, offset, bytes);
 * }
 * file.close();
 * ```
 */
export class Safetensors implements TensorFile {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #sources: readonly ByteSource[];

  private constructor(
    name: string,
    metadata: Readonly<Record<string, string>>,
    tensors: readonly TensorInfo[],
    sources: readonly ByteSource[],
  ) {
    this.name = name;
    this.metadata = metadata;
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.#sources = sources;
  }

  /**
   * Opens a file. The result owns the source. Closes it if the header is refused.
   *
   * @throws {SafetensorsError} The file breaks a rule of the format; the code says which:
   * `file-too-short`, `not-safetensors`, `header-too-large`, `header-truncated`, `header-not-utf8`,
   * `header-bad-start`, `header-not-json`, `duplicate-key`, `bad-metadata`, `bad-entry`,
   * `unknown-dtype`, `bad-shape`, `bad-offsets`, `offsets-out-of-range`, `size-mismatch`,
   * `overlap`, `hole`, `trailing-bytes`, `read-short`.
   * @throws {InputError} `bad-type`: `source` is not a source of bytes.
   */
  static async open(source: ByteSource): Promise<Safetensors> {
    const { name, size, read } = (source ?? {}) as Partial<ByteSource>;
    if (typeof name !== "string" || !Number.isSafeInteger(size) || typeof read !== "function") {
      throw new InputError("bad-type", "Cannot open a safetensors file: give a source of bytes");
    }
    try {
      const refuse = refuseFor(source.name);
      if (source.size < 8) {
        throw refuse("file-too-short", `it has ${source.size} bytes, a header needs at least 8`);
      }
      const prefix = await readExactly(source, 0, 8);
      const headerBytes = Number(
        new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true),
      );
      if (headerBytes > HEADER_LIMIT) {
        const [first] = source.size > 8 ? await readExactly(source, 8, 1) : [];
        if (first !== 0x7b) {
          const detail = "it is not a safetensors file, which begins with a size and a {";
          throw refuse("not-safetensors", detail);
        }
        const limit = formatBytes(HEADER_LIMIT);
        const detail = `header is ${formatBytes(headerBytes)}, the limit is ${limit}`;
        throw refuse("header-too-large", detail);
      }
      const start = 8 + headerBytes;
      if (start > source.size) {
        throw refuse(
          "header-truncated",
          `header ends at byte ${start}, but the file has ${source.size}; download it again`,
        );
      }
      const text = await readExactly(source, 8, headerBytes);
      const { metadata, entries } = parseHeader(text, source.size - start, source.name);
      const tensors = entries.map(({ name, dtype, shape, begin, end }): TensorInfo => ({
        name,
        dtype,
        shape,
        offset: start + begin,
        byteLength: end - begin,
        elements: countElements(shape)!,
        source,
      }));
      return new Safetensors(source.name, metadata, tensors, [source]);
    } catch (error) {
      const known = await recogniseSource(source);
      source.close?.();
      if (known === null) throw error;
      throw refuseFor(source.name)("not-safetensors", `it is ${known}`, error);
    }
  }

  /**
   * Opens the shards of a `*.safetensors.index.json`. Leaves out tensors that a shard has but the index does not
   * list.
   *
   * @param indexSource The index, which this reads and closes.
   * @param openShard Opens a shard by its file name, relative to the folder of the index.
   * @throws {SafetensorsError} `index-too-large`, `index-not-utf8`, `index-bad-start`,
   * `index-not-json`, `duplicate-key`, `bad-index`, `unsafe-shard-name`, `shard-missing`,
   * `tensor-absent`, or any code of {@linkcode Safetensors.open} for a shard.
   */
  static async openSharded(
    indexSource: ByteSource,
    openShard: (fileName: string) => Promise<ByteSource>,
  ): Promise<Safetensors> {
    const refuse = refuseFor(indexSource.name);
    const shards: Safetensors[] = [];
    try {
      const { metadata, tensorsOf } = await readIndex(indexSource);
      const tensors: TensorInfo[] = [];
      for (const [fileName, names] of tensorsOf) {
        const shard = await openShard(fileName).catch((error) => {
          // only an absent file becomes an error of the index; an abort, for instance, stays what it is
          const known = error instanceof BitwiseError && error.code !== "file-not-found";
          if (known || error?.name === "AbortError") throw error;
          const detail = `shard ${quote(fileName)} is missing; put it next to the index`;
          throw refuse("shard-missing", detail, error);
        });
        const file = await Safetensors.open(shard);
        shards.push(file);
        for (const name of names) {
          if (file.tensors.has(name)) continue;
          const detail = `tensor ${quote(name)} is listed but absent from ${quote(fileName)}`;
          throw refuse("tensor-absent", `${detail}; download both again`);
        }
        for (const tensor of file.tensors.values()) {
          if (names.has(tensor.name)) tensors.push(tensor);
        }
      }
      const sources = shards.flatMap((shard) => shard.#sources);
      return new Safetensors(indexSource.name, metadata, tensors, sources);
    } catch (error) {
      for (const shard of shards) shard.close();
      throw error;
    } finally {
      indexSource.close?.();
    }
  }

  get(name: string): TensorInfo {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw refuseFor(this.name)("tensor-missing", `it has no tensor ${quote(name)}`);
  }

  async read(name: string): Promise<FileData> {
    return viewAs(await this.#readBytes(name), this.get(name).dtype);
  }

  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return toFloat32(await this.#readBytes(name), this.get(name).dtype);
  }

  async *chunks(
    name: string,
    maxBytes = 2 ** 22,
    scratch: readonly Uint8Array<ArrayBuffer>[] = [],
  ): AsyncGenerator<TensorChunk, void, void> {
    const { source, offset: start, byteLength } = this.get(name);
    if (!(maxBytes >= 8)) {
      throw new InputError(
        "chunk-size",
        `Cannot read in chunks of ${maxBytes} bytes: use 8 or more`,
      );
    }
    const step = Math.floor(maxBytes / 8) * 8;
    const read = (offset: number, into?: Uint8Array<ArrayBuffer>) =>
      offset < byteLength
        ? readExactly(source, start + offset, Math.min(step, byteLength - offset), into)
        : null;
    let [into, other] = scratch;
    let next = read(0, into);
    try {
      for (let offset = 0; next; offset += step) {
        const bytes = await next;
        [into, other] = [other, into];
        next = read(offset + step, into);
        yield { offset, bytes };
      }
    } finally {
      await next?.catch(() => {}); // of a caller that left; nothing may still write to `scratch`
    }
  }

  close(): void {
    for (const source of this.#sources) source.close?.();
  }

  #readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { source, offset, byteLength } = this.get(name);
    if (byteLength > READ_LIMIT) {
      throw new OutOfMemoryError(
        "tensor-too-large",
        `Cannot read tensor ${quote(name)} at once: it has ${formatBytes(byteLength)}, ` +
          `the limit is ${formatBytes(READ_LIMIT)}; read it in chunks`,
      );
    }
    return readExactly(source, offset, byteLength);
  }
}

/** What a file is that does not begin as Safetensors do; null if it does, is unknown or cannot be read. */
async function recogniseSource(source: ByteSource): Promise<string | null> {
  const head = await source.read(0, Math.min(1024, source.size)).catch(() => null);
  const advice = "use a safetensors file";
  return head && head[8] !== 0x7b ? recognise(head, advice) : null;
}
