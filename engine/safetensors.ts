/**
 * Reads Safetensors files, whole or in shards, range by range.
 *
 * @module
 */

import type { ByteSource } from "./byte_source.ts";
import { type Dtype, type FileData, toFloat32, viewAs } from "./dtype.ts";
import { BitwiseError, formatBytes, InputError, OutOfMemoryError, quote } from "./errors.ts";
import {
  countElements,
  HEADER_LIMIT,
  parseHeader,
  readExactly,
  refuseFor,
} from "./safetensors_header.ts";
import { readIndex } from "./safetensors_index.ts";

/** The most that is read as one array; beyond it there are {@linkcode TensorFile.chunks}. */
const READ_LIMIT = 2 ** 31;

/** Where a tensor lies, and what it holds. */
export interface TensorInfo {
  /** The name, as in the checkpoint. */
  readonly name: string;
  /** The type of the elements. */
  readonly dtype: Dtype;
  /** The sizes of the dimensions, outermost first; empty for a single number. */
  readonly shape: readonly number[];
  /** The first byte, counted from the start of `source`. */
  readonly offset: number;
  /** The size in bytes. */
  readonly byteLength: number;
  /** The number of elements. */
  readonly elements: number;
  /** The file that holds it. */
  readonly source: ByteSource;
}

/** A piece of a tensor. */
export interface TensorChunk {
  /** The first byte, counted from the start of the tensor; a multiple of 8. */
  readonly offset: number;
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Tensors by name, from one file or from many shards: the caller need not know. */
export interface TensorFile {
  /** What error messages call it: the file, or the index of the shards. */
  readonly name: string;
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** All tensors, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Finds a tensor.
   *
   * @throws {SafetensorsError} `tensor-missing`: there is none of this name.
   */
  get(name: string): TensorInfo;
  /**
   * Reads a tensor as it is stored.
   *
   * @throws {SafetensorsError} `tensor-missing`: there is none of this name.
   * @throws {OutOfMemoryError} `tensor-too-large`: it has more than 2 GiB.
   */
  read(name: string): Promise<FileData>;
  /**
   * Reads a tensor and converts it to f32.
   *
   * @throws {SafetensorsError} `tensor-missing`: there is none of this name.
   * @throws {OutOfMemoryError} `tensor-too-large`: it has more than 2 GiB.
   */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /**
   * Reads a tensor piece by piece, in order, so that it is never in memory as a whole.
   *
   * @param name The tensor.
   * @param maxBytes The most bytes per piece, at least 8; rounded down to a multiple of 8.
   * @param scratch A buffer of `maxBytes` that pieces may lie in; each is then good until the next one only.
   * @throws {SafetensorsError} `tensor-missing`: there is none of this name.
   * @throws {InputError} `chunk-size`: `maxBytes` is less than 8.
   */
  chunks(
    name: string,
    maxBytes?: number,
    scratch?: Uint8Array<ArrayBuffer>,
  ): AsyncGenerator<TensorChunk, void, void>;
  /** Closes the file or all shards. */
  close(): void;
}

/**
 * A Safetensors file. Opening it reads the header and nothing else.
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
   * Opens a file. The result owns the source, and closes it if the header is refused.
   *
   * @throws {SafetensorsError} A rule of the format is broken; the code says which:
   * `file-too-short`, `not-safetensors`, `header-too-large`, `header-truncated`, `header-not-utf8`,
   * `header-bad-start`, `header-not-json`, `duplicate-key`, `bad-metadata`, `bad-entry`,
   * `unknown-dtype`, `bad-shape`, `bad-offsets`, `offsets-out-of-range`, `size-mismatch`,
   * `overlap`, `hole`, `trailing-bytes`, `read-short`.
   */
  static async open(source: ByteSource): Promise<Safetensors> {
    try {
      const refuse = refuseFor(source.name);
      if (source.size < 8) {
        throw refuse("file-too-short", `it has ${source.size} bytes, a header needs at least 8`);
      }
      const prefix = await readExactly(source, 0, 8);
      const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
      if (headerBytes > HEADER_LIMIT) {
        const [first] = source.size > 8 ? await readExactly(source, 8, 1) : [];
        if (first !== 0x7b) {
          const detail = "it is no safetensors file, which begins with a size and a {";
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
      source.close?.();
      throw error;
    }
  }

  /**
   * Opens the shards of a `*.safetensors.index.json`. Tensors that a shard holds but the index
   * does not list are left out.
   *
   * @param indexSource The index, which is read and closed.
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
          // Only an absent file is told in terms of the index; an abort, say, stays what it is.
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
        tensors.push(...[...file.tensors.values()].filter(({ name }) => names.has(name)));
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
    scratch?: Uint8Array<ArrayBuffer>,
  ): AsyncGenerator<TensorChunk, void, void> {
    const { source, offset: start, byteLength } = this.get(name);
    if (!(maxBytes >= 8)) {
      throw new InputError(
        "chunk-size",
        `Cannot read in chunks of ${maxBytes} bytes: use 8 or more`,
      );
    }
    const step = Math.floor(maxBytes / 8) * 8;
    for (let offset = 0; offset < byteLength; offset += step) {
      const length = Math.min(step, byteLength - offset);
      yield { offset, bytes: await readExactly(source, start + offset, length, scratch) };
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
