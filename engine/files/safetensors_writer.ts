/**
 * Writes Safetensors files.
 *
 * @module
 */

import { type Dtype, dtypeBytes, isDtype } from "./dtype.ts";
import { formatBytes, quote, SafetensorsError } from "../base/errors.ts";
import { countElements, HEADER_LIMIT, isObject } from "./safetensors_header.ts";

/** What a header says about a tensor. */
export interface TensorEntry {
  /** Name, unique in the file, and not `__metadata__`. */
  readonly name: string;
  /** Type of the elements. */
  readonly dtype: Dtype;
  /** Sizes of the dimensions, outermost first; empty for a single number. */
  readonly shape: readonly number[];
}

/** A tensor to write. */
export interface TensorToWrite extends TensorEntry {
  /** Values of type `dtype`, whose bytes are written as they are. */
  readonly data: ArrayBufferView;
}

/**
 * Encodes the start of a file: the length prefix and the header, padded with spaces to a multiple of 8 bytes. The data
 * of the tensors must follow in the order of `entries`, without gaps. If wide types come first, every tensor is
 * aligned.
 *
 * @example
 * ```ts ignore
 * await writeFileAtomic(path, async function* () {
 *   yield safetensorsHeader([{ name: "x", dtype: "F32", shape: [2, 1 << 20] }]);
 *   for (const row of rows) yield row;
 * }());
 * ```
 *
 * @param entries The tensors, in the order of their data.
 * @param metadata Free text by key.
 * @throws {SafetensorsError} `bad-entry`, `bad-metadata`, `reserved-name`, `bad-name`, `duplicate-key`,
 * `unknown-dtype`, `bad-shape`, `header-too-large`.
 */
export function safetensorsHeader(
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  checkEntries(entries);
  const root: [string, unknown][] = [];
  if (!isObject(metadata) || Object.values(metadata).some((text) => typeof text !== "string")) {
    throw refuse("bad-metadata", "the metadata must be an object of strings");
  }
  if (Object.keys(metadata).length > 0) root.push(["__metadata__", metadata]);
  const names = new Set<string>();
  let begin = 0;
  for (const { name, dtype, shape } of entries) {
    checkName(name, names);
    const end = begin + byteLength(name, dtype, shape);
    root.push([name, { dtype, shape, data_offsets: [begin, end] }]);
    begin = end;
  }
  // from entries: an assignment to "__proto__" would be lost
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(root)));
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > HEADER_LIMIT) {
    const limit = formatBytes(HEADER_LIMIT);
    throw refuse("header-too-large", `header is ${formatBytes(padded)}, the limit is ${limit}`);
  }
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

/**
 * Encodes a file in memory, with wide types first, so that every tensor is aligned.
 *
 * @example
 * ```ts ignore
 * const data = new Float32Array([1, 2, 3]);
 * const bytes = encodeSafetensors([{ name: "x", dtype: "F32", shape: [3], data }]);
 * ```
 *
 * @param tensors The tensors, in any order.
 * @param metadata Free text by key.
 * @throws {SafetensorsError} `size-mismatch`: the data of a tensor has another size than its shape and dtype need; or
 * any code of {@linkcode safetensorsHeader}.
 */
export function encodeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  checkEntries(tensors);
  for (const { name, dtype, shape, data } of tensors) {
    if (!ArrayBuffer.isView(data)) {
      throw refuse("bad-entry", `tensor ${quote(name)} has no array as data`);
    }
    const expected = byteLength(name, dtype, shape);
    if (data.byteLength === expected) continue;
    const detail = `${data.byteLength} bytes, but ${dtype} [${shape}] takes ${expected}`;
    throw refuse("size-mismatch", `tensor ${quote(name)} has ${detail}`);
  }
  const sorted = tensors.toSorted((a, b) => dtypeBytes(b.dtype) - dtypeBytes(a.dtype));
  const header = safetensorsHeader(sorted, metadata);
  const total = sorted.reduce((sum, { data }) => sum + data.byteLength, header.length);
  const file = new Uint8Array(total);
  file.set(header);
  let offset = header.length;
  for (const { data } of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return file;
}

function checkEntries(entries: unknown): void {
  if (Array.isArray(entries) && entries.every((e) => isObject(e) && typeof e.name === "string")) {
    return;
  }
  throw refuse("bad-entry", "give a list of tensors, each with name, dtype and shape");
}

function checkName(name: string, names: Set<string>): void {
  if (name === "__metadata__") {
    throw refuse("reserved-name", "no tensor may be named __metadata__");
  }
  if (!name.isWellFormed()) {
    throw refuse("bad-name", `the name ${quote(name)} is not well-formed Unicode`);
  }
  if (names.has(name)) throw refuse("duplicate-key", `two tensors are named ${quote(name)}`);
  names.add(name);
}

function byteLength(name: string, dtype: Dtype, shape: readonly number[]): number {
  if (!isDtype(dtype)) {
    const found = typeof dtype === "string" ? quote(dtype) : "of another kind";
    throw refuse("unknown-dtype", `tensor ${quote(name)} has dtype ${found}`);
  }
  const bytes = (countElements(shape) ?? NaN) * dtypeBytes(dtype);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw refuse("bad-shape", `tensor ${quote(name)} must have a shape of whole numbers`);
}

function refuse(code: string, detail: string): SafetensorsError {
  return new SafetensorsError(code, `Cannot write safetensors: ${detail}`);
}
