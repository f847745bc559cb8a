/**
 * Reads the two containers of `torch.save`: the zip archive, and the older sequence of pickles
 * (`_use_new_zipfile_serialization=False`).
 *
 * @module
 */

import {
  type ByteSource,
  CheckpointError,
  dtypeBytes,
  formatBytes,
  quote,
  recognise,
} from "../../../engine/mod.ts";
import { unpickle } from "./pickle.ts";
import { PICKLE_LIMIT } from "./pickle_reader.ts";
import type { PickleValue } from "./pickle_values.ts";
import { TorchZip } from "./torch_zip.ts";

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_VERSION = 1001;

/** The object that was saved, and the offsets of its numbers. */
export interface SavedObject {
  /** The saved object. */
  readonly value: PickleValue;
  /** Offset of each storage by key; its numbers are contiguous in the file. */
  readonly starts: ReadonlyMap<string, number>;
}

/**
 * Reads a checkpoint except the numbers of its tensors.
 *
 * @throws {CheckpointError} A code of the zip reader or the unpickler, or `not-a-checkpoint`,
 * `big-endian`, `storage-missing`, `storage-size`.
 */
export async function readSavedObject(source: ByteSource): Promise<SavedObject> {
  const head = await source.read(0, Math.min(4, source.size));
  const zip = head.length === 4 &&
    new DataView(head.buffer, head.byteOffset).getUint32(0, true) === 0x04034b50;
  if (!zip && head[0] !== 0x80) throw await unknown(source);
  return zip ? await readZip(source) : await readLegacy(source);
}

async function readZip(source: ByteSource): Promise<SavedObject> {
  const zip = await TorchZip.open(source);
  const roots = [...zip.entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (roots.length === 0) throw await unknown(source);
  if (roots.length > 1) {
    throw refuse(source, "not-a-checkpoint", "a checkpoint has one data.pkl, it has several");
  }
  const folder = roots[0]!.slice(0, -"data.pkl".length);
  const read = async (name: string, limit: number) => {
    const { size } = zip.entries.get(name)!;
    if (size <= limit) return await readBytes(source, await zip.locate(name), size);
    const detail = `${quote(name)} has ${formatBytes(size)}, the limit is ${formatBytes(limit)}`;
    throw refuse(source, "pickle-limit", detail);
  };
  if (zip.entries.has(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(await read(`${folder}byteorder`, 64));
    if (order !== "little") throw bigEndian(source);
  }
  const { value, storages } = unpickle(await read(roots[0]!, PICKLE_LIMIT), source.name);
  const starts = new Map<string, number>();
  for (const { key, dtype, elements } of storages.values()) {
    const name = `${folder}data/${key}`;
    const entry = zip.entries.get(name);
    if (!entry) throw missing(source, key);
    if (entry.size !== elements * dtypeBytes(dtype)) {
      const detail = `${
        quote(name)
      } has ${entry.size} bytes, not the ${elements} ${dtype} that its pickle declares`;
      throw refuse(source, "storage-size", detail);
    }
    starts.set(key, await zip.locate(name));
  }
  return { value, starts };
}

/** Reads the older format: five pickles (magic, version, system, object, storage keys), then the storages. */
async function readLegacy(source: ByteSource): Promise<SavedObject> {
  const bytes = await readBytes(source, 0, Math.min(source.size, PICKLE_LIMIT));
  let at = 0;
  const next = () => {
    const read = unpickle(bytes, source.name, at);
    at = read.end;
    return read;
  };
  if (next().value !== LEGACY_MAGIC || next().value !== LEGACY_VERSION) {
    throw refuse(source, "not-a-checkpoint", "it is a pickle, but not PyTorch's");
  }
  const system = next().value;
  if (!(system instanceof Map) || system.get("little_endian") !== true) throw bigEndian(source);
  const { value, storages } = next();
  const keys = next().value;
  const starts = new Map<string, number>();
  // each storage follows the one before
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (!storage || starts.has(storage.key)) {
      throw refuse(
        source,
        "not-a-checkpoint",
        "its storages differ from those that its object uses",
      );
    }
    const { buffer, byteOffset } = await readBytes(source, at, 8);
    const count = new DataView(buffer, byteOffset).getBigInt64(0, true);
    const end = at + 8 + storage.elements * dtypeBytes(storage.dtype);
    if (count !== BigInt(storage.elements) || end > source.size) {
      const detail = `storage ${
        quote(storage.key)
      } is shorter than declared; is the file complete?`;
      throw refuse(source, "storage-size", detail);
    }
    starts.set(storage.key, at + 8);
    at = end;
  }
  for (const key of storages.keys()) if (!starts.has(key)) throw missing(source, key);
  return { value, starts };
}

async function readBytes(
  source: ByteSource,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = offset + length <= source.size ? await source.read(offset, length) : undefined;
  if (bytes?.length === length) return bytes;
  throw refuse(source, "storage-size", `it ends before byte ${offset + length}; is it complete?`);
}

async function unknown(source: ByteSource): Promise<CheckpointError> {
  const head = await source.read(0, Math.min(1024, source.size));
  const name = recognise(head, "use safetensors or a PyTorch checkpoint");
  const neither = "neither a PyTorch checkpoint nor a safetensors file";
  return refuse(source, "not-a-checkpoint", `it is ${name ?? neither}`);
}

function missing(source: ByteSource, key: string): CheckpointError {
  return refuse(source, "storage-missing", `storage ${quote(key)} is not in it; is it complete?`);
}

function bigEndian(source: ByteSource): CheckpointError {
  const detail = "it was saved on a big-endian machine; save it again on a little-endian one";
  return refuse(source, "big-endian", detail);
}

function refuse(source: ByteSource, code: string, detail: string): CheckpointError {
  return new CheckpointError(code, `Cannot read ${quote(source.name)}: ${detail}`);
}
