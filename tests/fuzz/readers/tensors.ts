// Safetensors files, their indices, and files of bits.
import {
  type ByteSource,
  bytesSource,
  DTYPES,
  encodeSafetensors,
  FileError,
  Safetensors,
  type TensorFile,
} from "../../../engine/mod.ts";
import { decodeBitsFile, encodeBitsFile } from "../../../model/bits/bits_file.ts";
import type { ImageBits } from "../../../model/bits/image_bits.ts";
import { joined, json, mutateBytes, mutateText, mutateTree, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";

/** A file: the JSON of its header, the length it claims, and its data. */
export interface TensorsFile {
  readonly header: string;
  readonly length?: bigint;
  readonly data: Uint8Array;
}

export function fileOf({ header, length, data }: TensorsFile): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(header);
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, length ?? BigInt(bytes.length), true);
  return joined(prefix, bytes, data);
}

const SIZES: Readonly<Record<string, number>> = { F32: 4, F16: 2, U8: 1, I64: 8, BF16: 2 };

/** A header that is right, in a random order. */
export function header(random: Random): { tree: Record<string, unknown>; bytes: number } {
  const tree: Record<string, unknown> = {};
  let at = 0;
  if (random.chance(0.4)) tree.__metadata__ = { format: "pt" };
  for (const name of random.list(0, 6, (i) => random.chance(0.8) ? `w${i}` : text(random))) {
    const dtype = random.pick(Object.keys(SIZES));
    const shape = random.list(0, 4, () => random.below(4));
    const size = shape.reduce((a, b) => a * b, 1) * SIZES[dtype]!;
    if (Object.hasOwn(tree, name)) continue;
    Object.defineProperty(tree, name, {
      value: { dtype, shape, data_offsets: [at, at += size] },
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return { tree, bytes: at };
}

function make(random: Random): TensorsFile {
  const { tree, bytes } = header(random);
  const tensors = Object.values(tree) as { data_offsets?: number[] }[];
  const moved = tensors.length && random.chance(0.1) ? random.pick(tensors) : {};
  const by = random.below(9) - 4;
  if (moved.data_offsets) moved.data_offsets = moved.data_offsets.map((at) => at + by);
  const broken = random.chance(0.6)
    ? mutateTree(random, tree, (random, key) => key === "dtype" ? random.pick(DTYPES) : undefined)
    : tree;
  const written = JSON.stringify(broken) ?? "";
  return {
    header: random.chance(0.8)
      ? written
      : mutateText(random, written, ['{"', '":', "{}", "[", "]"]),
    ...random.chance(0.05) && { length: BigInt.asUintN(64, BigInt(random.below(2 ** 40)) - 5n) },
    data: random.bytes(Math.max(0, bytes + (random.chance(0.9) ? 0 : random.below(9) - 4))),
  };
}

/** Checks a file of tensors, and that it survives being written. */
export async function checkTensors(file: TensorFile, write = true): Promise<void> {
  const tensors = [];
  for (const [name, info] of file.tensors) {
    claim(info.name === name && file.get(name) === info, "names");
    claim(info.shape.reduce((a, b) => a * b, 1) === info.elements, "elements of the shape");
    if (info.byteLength > 2 ** 16) continue;
    const data = await file.read(name);
    claim(data.byteLength === info.byteLength && data.length === info.elements, "bytes");
    claim((await file.readFloat32(name)).length === info.elements, "numbers");
    const pieces = [];
    for await (const { bytes } of file.chunks(name, 64)) pieces.push(bytes.slice());
    const whole = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    claim(joined(...pieces).every((byte, i) => byte === whole[i]), "pieces are the whole");
    tensors.push({ name, dtype: info.dtype, shape: info.shape, data });
  }
  if (!write || tensors.some(({ name }) => !name.isWellFormed())) return;
  const bytes = encodeSafetensors(tensors, file.metadata);
  const again = await Safetensors.open(bytesSource("again", bytes));
  claim(again.tensors.size === tensors.length, "as many tensors");
  for (const [key, value] of Object.entries(file.metadata)) {
    claim(
      !value.isWellFormed() || !key.isWellFormed() || again.metadata[key] === value,
      "metadata",
    );
  }
  for (const { name, data } of tensors) {
    const [a, b] = [data, await again.read(name)].map((of) =>
      new Uint8Array(of.buffer, of.byteOffset, of.byteLength)
    );
    claim(a!.length === b!.length && a!.every((byte, i) => byte === b![i]), "bytes survive");
  }
}

async function readTensors(bytes: Uint8Array): Promise<void> {
  const file = await Safetensors.open(bytesSource("x.safetensors", bytes));
  let end: number | undefined;
  for (const { offset, byteLength } of file.tensors.values()) {
    claim(offset === (end ?? offset), "no gap and no overlap");
    end = offset + byteLength;
  }
  claim(end === undefined || end === bytes.length, "tensors up to the end");
  await checkTensors(file);
}

/** A source of bytes that shrank after it was opened: it promises `missing` bytes more than it returns. */
export function shrunk(name: string, bytes: Uint8Array, missing: number): ByteSource {
  const read: ByteSource["read"] = (offset, length) =>
    Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length)));
  return { name, size: bytes.length + missing, read };
}

export const safetensors = reader({
  make,
  file: fileOf,
  read: (input) => readTensors(fileOf(input)),
});

export const safetensorsShrunk = reader({
  make(random) {
    const { tree, bytes } = header(random);
    const file = fileOf({ header: JSON.stringify(tree), data: new Uint8Array(bytes) });
    const missing = 1 + random.below(file.length);
    return { file: file.subarray(0, file.length - missing), missing };
  },
  async read({ file, missing }) {
    await checkTensors(await Safetensors.open(shrunk("x.safetensors", file, missing)));
  },
});

export const safetensorsBytes = reader({
  make: (random) => mutateBytes(random, fileOf(make(random))),
  read: readTensors,
});

export const shards = reader({
  make(random) {
    const names = ["a.safetensors", "b/c.safetensors"];
    const made = names.map((name) => ({ name, ...header(random) }));
    const weight_map = Object.fromEntries(
      made.flatMap(({ name, tree }) =>
        Object.keys(tree).filter((key) => key !== "__metadata__").map((key) => [key, name])
      ),
    );
    const tree = { metadata: { total_size: 9 }, weight_map };
    const broken = random.chance(0.7)
      ? mutateTree(random, tree, (random) => random.chance(0.3) ? random.pick(names) : undefined)
      : tree;
    const index = JSON.stringify(broken) ?? "";
    return {
      index: random.chance(0.9) ? index : mutateText(random, index),
      files: Object.fromEntries(made.map(({ name, tree, bytes }) => [
        name,
        fileOf({ header: JSON.stringify(tree), data: random.bytes(bytes) }),
      ])),
    };
  },
  async read({ index, files }) {
    const source = bytesSource("x.index.json", new TextEncoder().encode(index));
    const file = await Safetensors.openSharded(source, (name) => {
      if (Object.hasOwn(files, name)) return Promise.resolve(bytesSource(name, files[name]!));
      claim(!/(^|\/)\.\.?(\/|$)|^\/|\\|:|\0/.test(name), `a name inside the folder, not ${name}`);
      return Promise.reject(new FileError("file-not-found", "Cannot read it: no such file"));
    });
    await checkTensors(file);
  },
});

const BITS: ImageBits = {
  width: 32,
  height: 16,
  d: 3,
  latent: [2, 4],
  schedule: [[1, 1], [2, 4]],
  scales: [Uint8Array.of(1, 0, 1), Uint8Array.from({ length: 24 }, (_, i) => i % 3 & 1)],
  model: "m",
};

/** The metadata of a bits file, whose fields are texts. */
function bitsFile(random: Random): TensorsFile {
  const file = encodeBitsFile(BITS);
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const tree = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const field = (random: Random, key: string) =>
    Object.hasOwn(tree.__metadata__, key)
      ? mutateText(random, tree.__metadata__[key], ["1x1", "2x4", ",", "x", "99999", "32768x32768"])
      : json(random);
  const broken = random.chance(0.9) ? mutateTree(random, tree, field) : tree;
  return { header: JSON.stringify(broken), data: file.subarray(8 + length) };
}

export const bits = reader({
  make: bitsFile,
  file: fileOf,
  async read(input) {
    const found = await decodeBitsFile(fileOf(input), "x.safetensors");
    const { width, height, d, latent, schedule, scales } = found;
    for (const side of [width, height, d, ...latent, ...schedule.flat()]) {
      claim(Number.isSafeInteger(side) && side > 0, `a size, not ${side}`);
    }
    claim(scales.length === schedule.length, "bits of every scale");
    for (const [s, [h, w]] of schedule.entries()) {
      claim(scales[s]!.length === h * w * d && scales[s]!.every((bit) => bit < 2), "bits");
    }
    const { model } = found;
    if (model !== undefined && !model.isWellFormed()) return;
    const again = await decodeBitsFile(encodeBitsFile(found), "x.safetensors");
    claim(JSON.stringify(again) === JSON.stringify(found), "it survives being written");
  },
});
