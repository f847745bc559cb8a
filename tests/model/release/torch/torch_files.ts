// Writes PyTorch checkpoints byte by byte, as torch.save does.

/** Bytes of a pickle. */
export type Code = readonly number[];

const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];
/** A number of `bytes` bytes, little-endian. */
export function le(value: number | bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
}

/** Values and opcodes of protocol 2. */
export const py = {
  none: ascii("N"),
  text: (text: string): Code => [...ascii("X"), ...le(ascii(text).length, 4), ...ascii(text)],
  int: (value: number): Code =>
    value < 0 || value >= 2 ** 31
      ? [0x8a, 8, ...le(BigInt.asUintN(64, BigInt(value)), 8)]
      : [...ascii("J"), ...le(value, 4)],
  global: (module: string, name: string): Code => ascii(`c${module}\n${name}\n`),
  tuple: (...items: Code[]): Code => [...ascii("("), ...items.flat(), ...ascii("t")],
  list: (...items: Code[]): Code => [...ascii("]("), ...items.flat(), ...ascii("e")],
  dict: (entries: Record<string, Code>): Code => [
    ...ascii("}("),
    ...Object.entries(entries).flatMap(([key, value]) => [...py.text(key), ...value]),
    ...ascii("u"),
  ],
  ordered: (entries: Record<string, Code>): Code => [
    ...py.call("collections", "OrderedDict"),
    ...ascii("("),
    ...Object.entries(entries).flatMap(([key, value]) => [...py.text(key), ...value]),
    ...ascii("u"),
    // nn.Module.state_dict() leaves _metadata as an attribute
    ...py.dict({ _metadata: py.call("collections", "OrderedDict") }),
    ...ascii("b"),
  ],
  call: (module: string, name: string, ...args: Code[]): Code => [
    ...py.global(module, name),
    ...py.tuple(...args),
    ...ascii("R"),
  ],
  pickle: (value: Code): Uint8Array<ArrayBuffer> =>
    new Uint8Array([0x80, 2, ...value, ...ascii(".")]),
  code: ascii,
};

/** Numbers of a file. */
export interface FakeStorage {
  readonly key: string;
  /** Such as `Float`. */
  readonly type: string;
  readonly elements: number;
  /** Absent if it is written as a hole. */
  readonly bytes?: Uint8Array;
}

/** A storage of these numbers. */
export function storage(key: string, type: string, data: ArrayBufferView): FakeStorage {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const size = "BYTES_PER_ELEMENT" in data ? data.BYTES_PER_ELEMENT as number : 1;
  return { key, type, elements: data.byteLength / size, bytes };
}

/** The persistent id of a storage; old files add `view`. */
export function persistent(
  { key, type, elements }: FakeStorage,
  view: readonly Code[] = [],
): Code {
  const id = [
    py.text("storage"),
    py.global("torch", `${type}Storage`),
    py.text(key),
    py.text("cuda:0"),
    py.int(elements),
    ...view,
  ];
  return [...py.tuple(...id), ...py.code("Q")];
}

/** A tensor, contiguous by default. */
export function tensor(
  from: FakeStorage,
  shape: readonly number[],
  { offset = 0, strides = contiguous(shape), view }: {
    offset?: number;
    strides?: readonly number[];
    view?: readonly Code[];
  } = {},
): Code {
  const numbers = (values: readonly number[]) => py.tuple(...values.map(py.int));
  return py.call(
    "torch._utils",
    "_rebuild_tensor_v2",
    persistent(from, view),
    py.int(offset),
    numbers(shape),
    numbers(strides),
    [0x89],
    py.call("collections", "OrderedDict"),
  );
}

/** An nn.Parameter as torch.save writes it. */
export function parameter(of: Code): Code {
  const hooks = py.call("collections", "OrderedDict");
  return py.call("torch._utils", "_rebuild_parameter", of, [0x88], hooks);
}

/** Strides of a contiguous tensor. */
export function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
}

/** An entry of an archive; without `bytes` it is a hole of `size`. */
export interface FakeEntry {
  readonly name: string;
  readonly bytes?: Uint8Array;
  readonly size?: number;
  /** Fields with false values. */
  readonly method?: number;
  readonly flags?: number;
  readonly packed?: number;
  readonly header?: number;
}

/** An archive in pieces, so that holes need no memory. */
export interface Pieces {
  readonly pieces: readonly { at: number; bytes: Uint8Array }[];
  readonly size: number;
}

/** Writes a stored archive with zip64 records, as PyTorch does. */
export function zipPieces(entries: readonly FakeEntry[]): Pieces {
  const pieces: { at: number; bytes: Uint8Array }[] = [];
  const directory: number[] = [];
  let at = 0;
  for (const { name, bytes, size = bytes!.length, method = 0, flags = 0x800, ...lies } of entries) {
    const header = lies.header ?? at;
    const packed = lies.packed ?? size;
    const pad = 64 - (at + 34 + ascii(name).length) % 64;
    const common = [...le(flags, 2), ...le(method, 2), ...le(0, 8)];
    const local = [
      ...ascii("PK\x03\x04"),
      ...le(0, 2),
      ...common,
      ...le(0, 8),
      ...le(ascii(name).length, 2),
      ...le(pad + 4, 2),
      ...ascii(name),
      ...ascii("FB"),
      ...le(pad, 2),
      ...Array<number>(pad).fill(0x5a),
    ];
    const wide = [size, packed, header].filter((value) => value >= 0xffffffff);
    const extra = wide.length
      ? [...le(1, 2), ...le(8 * wide.length, 2), ...wide.flatMap((v) => le(v, 8))]
      : [];
    const narrow = (value: number) => le(Math.min(value, 0xffffffff), 4);
    directory.push(
      ...ascii("PK\x01\x02"),
      ...le(0, 4),
      ...common,
      ...narrow(packed),
      ...narrow(size),
      ...le(ascii(name).length, 2),
      ...le(extra.length, 2),
      ...le(0, 10),
      ...narrow(header),
      ...ascii(name),
      ...extra,
    );
    pieces.push({ at, bytes: new Uint8Array(local) });
    if (bytes) pieces.push({ at: at + local.length, bytes });
    at += local.length + (bytes?.length ?? size);
  }
  const count = le(entries.length, 8);
  const end = [
    ...ascii("PK\x06\x06"),
    ...le(44, 8),
    ...le(0, 12),
    ...count,
    ...count,
    ...le(directory.length, 8),
    ...le(at, 8),
    ...ascii("PK\x06\x07"),
    ...le(0, 4),
    ...le(at + directory.length, 8),
    ...le(1, 4),
    ...ascii("PK\x05\x06"),
    ...le(0, 4),
    ...le(entries.length, 2),
    ...le(entries.length, 2),
    ...le(directory.length, 4),
    ...le(Math.min(at, 0xffffffff), 4),
    ...le(0, 2),
  ];
  pieces.push({ at, bytes: new Uint8Array([...directory, ...end]) });
  return { pieces, size: at + directory.length + end.length };
}

/** The complete archive. */
export function zip(entries: readonly FakeEntry[]): Uint8Array<ArrayBuffer> {
  const { pieces, size } = zipPieces(entries);
  const file = new Uint8Array(size);
  for (const { at, bytes } of pieces) file.set(bytes, at);
  return file;
}

/** The entries of a checkpoint. */
export function entriesOf(value: Code | Uint8Array, storages: readonly FakeStorage[]): FakeEntry[] {
  return [
    { name: "m/data.pkl", bytes: value instanceof Uint8Array ? value : py.pickle(value) },
    { name: "m/byteorder", bytes: new TextEncoder().encode("little") },
    ...storages.map(({ key, bytes, elements }): FakeEntry =>
      bytes ? { name: `m/data/${key}`, bytes } : { name: `m/data/${key}`, size: 4 * elements }
    ),
    { name: "m/version", bytes: new TextEncoder().encode("3\n") },
  ];
}

/** A checkpoint as PyTorch 1.6 and later write it. */
export function pth(
  value: Code | Uint8Array,
  storages: readonly FakeStorage[] = [],
): Uint8Array<ArrayBuffer> {
  return zip(entriesOf(value, storages));
}

/** A checkpoint as PyTorch before 1.6 wrote it. */
export function legacyPth(
  value: Code,
  storages: readonly FakeStorage[],
  { magic = 0x1950a86a20f9469cfc6cn, keys = storages.map(({ key }) => key), little = true } = {},
): Uint8Array<ArrayBuffer> {
  const parts = [
    py.pickle([0x8a, 10, ...le(magic, 10)]),
    py.pickle(py.int(1001)),
    py.pickle(py.dict({ protocol_version: py.int(1001), little_endian: [little ? 0x88 : 0x89] })),
    py.pickle(value),
    py.pickle(py.list(...keys.map(py.text))),
    ...storages.flatMap(({ elements, bytes }) => [new Uint8Array(le(elements, 8)), bytes!]),
  ];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (file.set(part, at), at + part.length), 0);
  return file;
}
