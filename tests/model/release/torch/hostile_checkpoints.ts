// Hostile checkpoints, each with the code that it must be refused with. As a program, opens
// one of them and prints the time and memory it took.
import { bytesSource } from "../../../../engine/mod.ts";
import { openTorchCheckpoint } from "../../../../model/release/torch/torch_checkpoint.ts";
import {
  type Code,
  entriesOf,
  type FakeEntry,
  le,
  legacyPth,
  persistent,
  pth,
  py,
  storage,
  tensor,
  zip,
} from "./torch_files.ts";

/** A file, and the refusal expected. */
export interface Hostile {
  readonly name: string;
  readonly file: () => Uint8Array;
  readonly code: string;
  readonly says?: string;
}

const s0 = storage("0", "Float", new Float32Array([1, 2, 3, 4, 5, 6]));
/** A valid checkpoint; the others change parts of it. */
export const GOOD = py.dict({ w: tensor(s0, [2, 3]) });
const good = entriesOf(GOOD, [s0]);
const repeat = (code: Code, times: number): Uint8Array => {
  const bytes = new Uint8Array(code.length * times);
  for (let i = 0; i < bytes.length; i++) bytes[i] = code[i % code.length]!;
  return bytes;
};
const raw = (...parts: (Code | Uint8Array)[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 2));
  bytes.set([0x80, 2]);
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 2);
  return bytes;
};
const c = py.code;

function pickled(name: string, code: string, says: string | undefined, ...parts: Code[]): Hostile {
  return { name, file: () => pth(raw(...parts)), code, says };
}

const globals: Hostile[] = [
  ["os", "system", "rm -rf /"],
  ["posix", "system", "id"],
  ["builtins", "eval", "1"],
  ["__builtin__", "exec", "1"],
  ["builtins", "getattr", "x"],
  ["torch", "load", "x"],
  ["torch._utils", "_rebuild_wrapper_subclass", "x"],
  ["__torch__.module", "Model", "x"],
  ["constructor", "prototype", "x"],
].map(([module, name, arg]) =>
  pickled(
    `global ${module}.${name}`,
    "pickle-global",
    `the Python name "${module}.${name}" at byte 2 is not allowed`,
    py.call(module!, name!, py.text(arg!)),
    c("."),
  )
);

const dict = py.global("collections", "OrderedDict");
const opcodes: Hostile[] = ([
  ["INST", [...c("(ios\nsystem\n")], 3],
  ["OBJ", [...c("("), ...dict, ...c("o")], 28],
  ["EXT1", [0x82, 1], 2],
  ["EXT2", [0x83, 1, 0], 2],
  ["EXT4", [0x84, 1, 0, 0, 0], 2],
  ["PERSID", c("Pstorage\n"), 2],
  ["DUP", c("N2"), 3],
  ["POP", c("N0"), 3],
  ["GET", c("g0\n"), 2],
  ["PUT", c("Np0\n"), 3],
  ["INT", c("I1\n"), 2],
  ["LONG4", [0x8b, ...le(0x7fffffff, 4)], 2],
  ["BINUNICODE8", [0x8d, ...le(2n ** 62n, 8)], 2],
  ["BINBYTES8", [0x8e, ...le(2n ** 62n, 8)], 2],
  ["BYTEARRAY8", [0x96, ...le(2n ** 62n, 8)], 2],
  ["NEWOBJ_EX", [...dict, ...c(")}"), 0x92], 29],
  ["NEXT_BUFFER", [0x97], 2],
  ["FROZENSET", [...c("("), 0x91], 3],
  ["0xff", [0xff], 2],
] as [string, Code, number][]).map(([name, code, at]) =>
  pickled(`opcode ${name}`, "pickle-opcode", `opcode ${name} at byte ${at} is not`, code, c("."))
);

const state = [...c("}"), ...py.text("__class__"), ...c("Nsb.")];
const view = (shape: number[], strides: number[], offset = 0) => () =>
  pth(tensor(s0, shape, { strides, offset }), [s0]);
const misuse: Hostile[] = [
  pickled("eval by STACK_GLOBAL", "pickle-global", '"builtins.eval"', [
    ...py.text("builtins"),
    ...py.text("eval"),
    0x93,
  ], c(".")),
  pickled("REDUCE of a storage type", "pickle-malformed", undefined, [
    ...py.call("torch", "FloatStorage", py.int(9)),
  ], c(".")),
  pickled("REDUCE of text", "pickle-malformed", undefined, py.text("os.system"), c(")R.")),
  pickled("NEWOBJ of a dict", "pickle-malformed", undefined, dict, c(")"), [0x81], c(".")),
  pickled("OrderedDict of a list", "pickle-malformed", undefined, [
    ...py.call("collections", "OrderedDict", py.list()),
  ], c(".")),
  pickled("BUILD of a name", "pickle-malformed", "sets attributes", dict, state),
  pickled("BUILD of a list", "pickle-malformed", "sets attributes", c("]"), state),
  pickled("BUILD of a tuple", "pickle-malformed", "sets attributes", c(")"), state),
  pickled("APPEND to a tuple", "pickle-malformed", undefined, c(")Na.")),
  pickled("SETITEM of a list", "pickle-malformed", undefined, c("]NNs.")),
  pickled("SETITEMS of three", "pickle-malformed", undefined, c("}(NNNu.")),
  pickled("a module", "pickle-malformed", "not a reference to a storage", [
    ...py.tuple(py.text("module"), dict, py.text("m.py"), py.text("import os")),
  ], c("Q.")),
  pickled("a number as a reference", "pickle-malformed", undefined, py.int(3), c("Q.")),
  pickled("a storage declared twice", "pickle-malformed", 'storage "0"', [
    ...persistent(s0),
    ...persistent({ ...s0, elements: 99 }),
  ], c(".")),
  pickled("protocol 99", "pickle-malformed", "has protocol 99", [0x80, 99], c(".")),
  pickled("empty stack", "pickle-malformed", "STOP at byte 2 finds the stack empty", c(".")),
  pickled("no mark", "pickle-malformed", "finds no mark", c("t.")),
  pickled("below a mark", "pickle-malformed", "APPEND at byte 5", c("]N(a.")),
  pickled("memo not set", "pickle-malformed", "reads memo 7", c("h\x07.")),
  pickled("text of 4 GB", "pickle-truncated", "ends too early", c("X"), le(0xffffffff, 4)),
  pickled("bytes of 4 GB", "pickle-truncated", undefined, c("B"), le(0xffffffff, 4)),
  pickled("a name without end", "pickle-malformed", undefined, c("c"), Array(999).fill(0x61)),
  pickled("text that is not UTF-8", "pickle-malformed", "UTF-8", c("X"), le(1, 4), [0xff]),
  pickled("no tensors", "no-tensors", undefined, [0x8a, 255, ...Array(255).fill(7)], c(".")),
  { name: "beyond the storage", file: view([2, 3], [3, 2]), code: "bad-tensor" },
  { name: "an offset beyond", file: view([2, 3], [3, 1], 1), code: "bad-tensor" },
  { name: "2^53 offset", file: view([1], [1], 2 ** 53 - 1), code: "bad-tensor" },
  { name: "negative strides", file: view([2], [-1]), code: "pickle-malformed" },
  { name: "more strides than sizes", file: view([2], [1, 1]), code: "pickle-malformed" },
  {
    name: "65 dimensions",
    file: view(Array(65).fill(1), Array(65).fill(1)),
    code: "pickle-malformed",
  },
  { name: "one number expanded to a petabyte", file: view([2 ** 48], [0]), code: "too-large" },
  {
    name: "a size beyond safe integers",
    file: view([2 ** 40, 2 ** 40], [0, 0]),
    code: "bad-tensor",
  },
  {
    name: "a storage outside the archive",
    file: () => pth(tensor({ ...s0, key: "../../etc/passwd" }, [1])),
    code: "storage-missing",
  },
  {
    name: "a storage longer than its entry",
    file: () => pth(tensor({ ...s0, elements: 2 ** 40 }, [2 ** 40]), [s0]),
    code: "storage-size",
  },
];

const N = 250_000;
/** One value, memoised again and again. */
const memos = (count: number): Uint8Array => {
  const view = new DataView(new ArrayBuffer(5 * count + 1));
  view.setUint8(0, 0x4e);
  for (let i = 0; i < count; i++) {
    view.setUint8(1 + 5 * i, 0x72);
    view.setUint32(2 + 5 * i, i * 2039, true);
  }
  return new Uint8Array(view.buffer);
};
const laugh = (levels: number, width: number): Code[] => [
  [...c("]q"), 0],
  ...Array.from({ length: levels }, (_, i) => [
    ...c("]("),
    ...Array(width).fill([...c("h"), i]).flat(),
    ...c("eq"),
    i + 1,
  ]),
  c("."),
];
const wide = (parts: () => (Code | Uint8Array)[], name: string, code: string): Hostile => ({
  name,
  file: () => pth(raw(...parts())),
  code,
});
/** Files that would take much time or memory. */
export const BOMBS: readonly Hostile[] = [
  wide(() => [repeat(c("]"), N), repeat(c("a"), N - 1), c(".")], "deep lists", "nesting"),
  wide(() => [c("}"), repeat([...c("N}")], N), repeat(c("s"), N), c(".")], "deep dicts", "nesting"),
  wide(() => [c(")"), repeat([0x85], N), c(".")], "deep tuples", "nesting"),
  wide(() => [repeat(c("("), 2 ** 23), c(".")], "eight million marks", "pickle-limit"),
  wide(() => [repeat(c("]"), 2 ** 23), c(".")], "eight million lists", "pickle-limit"),
  wide(() => [memos(2 ** 20), c(".")], "memo bomb", "pickle-limit"),
  wide(() => [c("N"), repeat([0x94], 2 ** 22), c(".")], "memoize bomb", "pickle-limit"),
  wide(() => [repeat([...c("X"), 0, 0, 0, 0], 2 ** 21), c(".")], "texts", "pickle-limit"),
  wide(() => laugh(60, 2), "billion laughs by two", "nesting"),
  wide(() => laugh(20, 100), "billion laughs by a hundred", "nesting"),
  wide(
    () => [[...c("}q"), 0], py.text("a"), [...c("h"), 0, ...c("s.")]],
    "a dict in itself",
    "nesting",
  ),
  wide(
    () => [[...c("]q"), 0, ...c("h"), 0, ...c("ah"), 0, ...c("a.")]],
    "a list in itself",
    "nesting",
  ),
  wide(() => [new Uint8Array(2 ** 24)], "a pickle of 16 MB", "pickle-limit"),
];

const bent = (name: string, code: string, ...entries: FakeEntry[]): Hostile => ({
  name,
  file: () => zip([...good, ...entries]),
  code,
});
const x = new Uint8Array(100);
const changed = (change: (view: DataView, end: number) => void) => () => {
  const file = zip(good);
  change(new DataView(file.buffer), file.length - 22);
  return file;
};
const zips: Hostile[] = [
  bent("zip bomb", "zip-compressed", {
    name: "m/x",
    bytes: x,
    method: 8,
    size: 2 ** 40,
    packed: 100,
  }),
  bent("stored, but longer than packed", "zip-compressed", { name: "m/x", bytes: x, packed: 9 }),
  bent("encrypted", "zip-encrypted", { name: "m/x", bytes: x, flags: 1 }),
  ...["../x", "/etc/passwd", "m/../../x", "C:/x", "m\\x", "m/\0x", "", "m//x", "./x"].map((name) =>
    bent(`path ${JSON.stringify(name)}`, "zip-unsafe-name", { name, bytes: x })
  ),
  bent("overlapping entries", "zip-overlap", { name: "m/x", bytes: x, header: 0 }),
  bent("an entry beyond the end", "zip-overlap", { name: "m/x", bytes: x, header: 2 ** 40 }),
  bent("longer than the file", "zip-overlap", { name: "m/x", bytes: x, size: 2 ** 50 }),
  bent("a name twice", "zip-malformed", { name: "m/version", bytes: x }),
  bent("two pickles", "not-a-checkpoint", { name: "n/data.pkl", bytes: x }),
  { name: "no pickle", file: () => zip(good.slice(1)), code: "not-a-checkpoint" },
  {
    name: "big-endian",
    file: () => zip(good.map((e) => e.name === "m/byteorder" ? { ...e, bytes: c2("big") } : e)),
    code: "big-endian",
  },
  { name: "a wrong count", file: changed((v, e) => v.setUint8(e - 44, 99)), code: "zip-malformed" },
  {
    name: "directory of 1 PB",
    file: changed((v, e) => v.setUint8(e - 30, 4)),
    code: "zip-malformed",
  },
  {
    name: "zip64 elsewhere",
    file: changed((v, e) => v.setUint8(e - 8, 99)),
    code: "zip-malformed",
  },
  { name: "a false header", file: changed((v) => v.setUint8(26, 255)), code: "zip-malformed" },
];
function c2(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

const old = (
  name: string,
  code: string,
  ...[value, storages, lies]: Parameters<typeof legacyPth>
) => ({
  name: `legacy: ${name}`,
  file: () => legacyPth(value, storages, lies),
  code,
});
const legacy: Hostile[] = [
  old("os.system", "pickle-global", py.call("os", "system", py.text("id")), []),
  old("no magic", "not-a-checkpoint", GOOD, [s0], { magic: 1n }),
  old("big-endian", "big-endian", GOOD, [s0], { little: false }),
  old("a key twice", "not-a-checkpoint", GOOD, [s0, s0]),
  old("a foreign key", "not-a-checkpoint", GOOD, [s0], { keys: ["9"] }),
  old("no keys", "storage-missing", GOOD, [s0], { keys: [] }),
  old("a false count", "storage-size", GOOD, [{ ...s0, elements: 7 }]),
  { name: "a tar archive", file: () => c2("storages\0".repeat(99)), code: "not-a-checkpoint" },
  { name: "an empty file", file: () => new Uint8Array(), code: "not-a-checkpoint" },
];

/** All hostile files. */
export const HOSTILE: readonly Hostile[] = [
  ...globals,
  ...opcodes,
  ...misuse,
  ...BOMBS,
  ...zips,
  ...legacy,
];

if (import.meta.main) {
  const { name, file } = HOSTILE.find(({ name }) => name === Deno.args[0])!;
  const bytes = file();
  const began = performance.now();
  await openTorchCheckpoint(bytesSource(name, bytes)).then(() => Deno.exit(1), () => {});
  const seconds = (performance.now() - began) / 1000;
  const peak = /VmHWM:\s+(\d+) kB/.exec(await Deno.readTextFile("/proc/self/status"));
  console.log(JSON.stringify({ seconds, bytes: Number(peak?.[1]) * 1024 }));
}
