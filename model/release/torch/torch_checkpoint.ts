/**
 * Opens PyTorch checkpoints (`.pth`, `.pt`, `.bin`) as tensors by name.
 *
 * @module
 */

import {
  type ByteSource,
  CheckpointError,
  countElements,
  dtypeBytes,
  type FileData,
  formatBytes,
  OutOfMemoryError,
  quote,
  type TensorChunk,
  type TensorFile,
  type TensorInfo,
  toFloat32,
  viewAs,
} from "../../../engine/mod.ts";
import { type PickleValue, TensorRef, Tuple } from "./pickle_values.ts";
import { readStrided, type View, viewSpan } from "./strided_view.ts";
import { readSavedObject } from "./torch_storages.ts";

const DEPTH_LIMIT = 64;
const VISIT_LIMIT = 2 ** 19;
const NAME_LIMIT = 512;
/** The largest tensor that is read as one array, as for Safetensors. */
const READ_LIMIT = 2 ** 31;
/** Views may repeat a file's numbers, but not more often than this: the file would be a trap. */
const REPEAT_LIMIT = 8;

/**
 * Opens a checkpoint: reads its pickle, but no tensor. Tensors in dicts and lists are named by their
 * keys, joined by dots, such as `trainer.gpt_fsdp.head.weight`. Takes ownership of the source, and
 * closes it if the file is refused.
 *
 * @example
 * ```ts ignore
 * const file = await openTorchCheckpoint(await fileSource("infinity_2b_reg.pth"));
 * for await (const { bytes } of file.chunks("head.weight")) await target.write(bytes);
 * ```
 *
 * @throws {CheckpointError} It is not a checkpoint, is malformed, or holds more than tensors and plain
 * values; the code says which.
 */
export async function openTorchCheckpoint(source: ByteSource): Promise<TensorFile> {
  try {
    const { value, starts } = await readSavedObject(source);
    const tensors = new Map<string, TensorInfo>();
    let total = 0;
    for (const [name, tensor] of flatten(value, source.name)) {
      if (tensors.has(name)) {
        throw refuse(source.name, "duplicate-name", `two tensors are named ${quote(name)}`);
      }
      const info = describe(name, tensor, source, starts.get(tensor.storage.key)!);
      total += info.byteLength;
      if (total > REPEAT_LIMIT * source.size) {
        const detail = `its tensors have ${formatBytes(total)}, the file ${
          formatBytes(source.size)
        }`;
        throw refuse(source.name, "too-large", detail);
      }
      tensors.set(name, info);
    }
    if (tensors.size === 0) throw refuse(source.name, "no-tensors", "it has no tensors");
    return new TorchCheckpoint(source, tensors);
  } catch (error) {
    source.close?.();
    throw error;
  }
}

class TorchCheckpoint implements TensorFile {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>> = {};
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;

  constructor(source: ByteSource, tensors: ReadonlyMap<string, TensorInfo>) {
    this.name = source.name;
    this.#source = source;
    this.tensors = tensors;
  }

  get(name: string): TensorInfo {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw refuse(this.name, "tensor-missing", `it has no tensor ${quote(name)}`);
  }

  async read(name: string): Promise<FileData> {
    return viewAs(await this.#readBytes(name), this.get(name).dtype);
  }

  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return toFloat32(await this.#readBytes(name), this.get(name).dtype);
  }

  async *chunks(name: string, maxBytes = 2 ** 22): AsyncGenerator<TensorChunk, void, void> {
    const { source, byteLength } = this.get(name);
    const step = Math.max(8, Math.floor(maxBytes / 8) * 8);
    for (let offset = 0; offset < byteLength; offset += step) {
      yield { offset, bytes: await source.read(offset, Math.min(step, byteLength - offset)) };
    }
  }

  close(): void {
    this.#source.close?.();
  }

  async #readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { source, byteLength } = this.get(name);
    if (byteLength <= READ_LIMIT) return await source.read(0, byteLength);
    throw new OutOfMemoryError(
      "tensor-too-large",
      `Cannot read tensor ${quote(name)} at once: it has ${formatBytes(byteLength)}, ` +
        `the limit is ${formatBytes(READ_LIMIT)}; read it in chunks`,
    );
  }
}

/** Finds the tensors in dicts and lists, without recursion: a file may be nested very deeply. */
function* flatten(root: PickleValue, file: string): Generator<[string, TensorRef]> {
  const pending: { name: string; value: PickleValue; depth: number }[] = [
    { name: "", value: root, depth: 0 },
  ];
  let visited = 0;
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { name, value, depth } = next;
    const trouble = name.length > NAME_LIMIT
      ? `a name in it has more than ${NAME_LIMIT} characters`
      : depth > DEPTH_LIMIT
      ? `it nests more than ${DEPTH_LIMIT} dicts`
      : undefined;
    if (trouble) throw refuse(file, "nesting", trouble);
    if (value instanceof TensorRef) {
      yield [name || "tensor", value];
      continue;
    }
    const entries = entriesOf(value);
    visited += entries.length;
    if (visited > VISIT_LIMIT) {
      throw refuse(file, "nesting", "its dicts hold too many values, or contain each other");
    }
    for (const [key, inner] of entries.reverse()) {
      pending.push({ name: name ? `${name}.${key}` : key, value: inner, depth: depth + 1 });
    }
  }
}

/** Lists the members of a container that may hold tensors. */
function entriesOf(value: PickleValue): [string, PickleValue][] {
  const entries: [PickleValue, PickleValue][] = value instanceof Map
    ? [...value]
    : value instanceof Tuple
    ? [...value.items.entries()]
    : Array.isArray(value)
    ? [...value.entries()]
    : [];
  return entries.flatMap(([key, inner]) => {
    const holds = inner instanceof TensorRef || inner instanceof Map || inner instanceof Tuple ||
      Array.isArray(inner);
    if (!holds) return [];
    return [[typeof key === "object" ? "()" : `${key}`, inner]];
  });
}

function describe(
  name: string,
  { storage, offset, shape, strides }: TensorRef,
  file: ByteSource,
  storageStart: number,
): TensorInfo {
  const elements = countElements(shape);
  const itemBytes = dtypeBytes(storage.dtype);
  // an unsafe integer compares as too large
  const fits = elements !== undefined && offset + viewSpan(shape, strides) <= storage.elements;
  if (!fits) {
    const detail = `tensor ${quote(name)} [${shape}] reaches beyond its storage`;
    throw refuse(file.name, "bad-tensor", detail);
  }
  const start = storageStart + offset * itemBytes;
  const view: View = { source: file, start, itemBytes, shape, strides };
  const byteLength = elements * itemBytes;
  const source = viewSource(view, byteLength);
  return { name, dtype: storage.dtype, shape, offset: 0, byteLength, elements, source };
}

/** Presents a view as a source of bytes in the order of its elements. */
function viewSource(view: View, size: number): ByteSource {
  const { source: { name }, itemBytes } = view;
  return {
    name,
    size,
    async read(offset, length) {
      const from = Math.floor(offset / itemBytes);
      const to = Math.ceil((offset + length) / itemBytes);
      const bytes = await readStrided(view, from, to);
      const skip = offset - from * itemBytes;
      return bytes.length === length ? bytes : bytes.slice(skip, skip + length);
    },
  };
}

function refuse(file: string, code: string, detail: string): CheckpointError {
  return new CheckpointError(code, `Cannot read ${quote(file)}: ${detail}`);
}
