// PyTorch checkpoints: archives, pickles and views of storages.
import { bytesSource } from "../../../engine/mod.ts";
import { OP } from "../../../model/release/torch/pickle_opcodes.ts";
import { openTorchCheckpoint } from "../../../model/release/torch/torch_checkpoint.ts";
import {
  type Code,
  contiguous,
  entriesOf,
  type FakeEntry,
  type FakeStorage,
  le,
  legacyPth,
  parameter,
  persistent,
  py,
  storage,
  tensor,
  zip,
} from "../../model/release/torch/torch_files.ts";
import { edge, joined, mutateBytes, mutateText, text } from "../mutate.ts";
import type { Random } from "../random.ts";
import { claim, reader } from "../reader.ts";
import { checkTensors, shrunk } from "./tensors.ts";

/** Every byte of every storage, and of nothing else in a file. */
const MARK = 0x77;
const marked = (key: string, type: string, data: Uint16Array | Float32Array | BigInt64Array) => {
  new Uint8Array(data.buffer).fill(MARK);
  return storage(key, type, data);
};
const STORAGES: readonly FakeStorage[] = [
  marked("0", "Float", new Float32Array(6)),
  marked("1", "Half", new Uint16Array(20)),
  marked("2", "Long", new BigInt64Array(3)),
];

/** A whole number that a pickle may not expect. */
const count = (random: Random): number =>
  random.chance(0.7) ? random.below(7) : Math.min(edge(random), Number.MAX_SAFE_INTEGER);

/** A tensor, whose view may not fit. */
function view(random: Random, from = random.pick(STORAGES)): Code {
  const shape = random.list(0, 4, () => count(random));
  const strides = random.chance(0.5) ? contiguous(shape) : shape.map(() => count(random));
  const lies = random.chance(0.9) ? from : { ...from, elements: count(random), key: text(random) };
  const made = tensor(lies, shape, {
    offset: random.chance(0.7) ? 0 : count(random),
    strides: strides.map((stride) => Math.min(stride, Number.MAX_SAFE_INTEGER)),
    ...random.chance(0.1) && {
      view: [py.tuple(py.text("v"), py.int(count(random)), py.int(count(random)))],
    },
  });
  return random.chance(0.2) ? parameter(made) : made;
}

const NAMES = [
  ...[
    "collections OrderedDict",
    "torch FloatStorage",
    "torch Size",
    "torch._utils _rebuild_tensor",
  ],
  ...["torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "argparse Namespace"],
  ...["builtins set", "_codecs encode", "numpy dtype", "torch float32", "torch device"],
  ...["os system", "builtins eval", "builtins getattr", "constructor prototype", "__proto__ x"],
];

/** A value of a pickle. */
function value(random: Random, depth = 3): Code {
  const inner = (): Code => value(random, depth - 1);
  const many = () => depth > 0 ? random.list(0, 4, inner) : [];
  const [module, name] = random.pick(NAMES).split(" ") as [string, string];
  const entries = (): Record<string, Code> =>
    Object.fromEntries(
      many().map((item, i) => [random.chance(0.8) ? `k${i}` : text(random), item]),
    );
  return random.pick<() => Code>([
    () => view(random),
    () => view(random),
    () => py.dict(entries()),
    () => py.ordered(entries()),
    () => py.list(...many()),
    () => py.tuple(...many()),
    () => py.none,
    () => py.int(Math.min(edge(random), Number.MAX_SAFE_INTEGER)),
    () => py.text(text(random)),
    () => py.global(module, name),
    () => py.call(module, name, ...many()),
    () => persistent(random.pick(STORAGES)),
    () => [...inner(), OP.BINPUT, random.below(4)],
    () => [OP.BINGET, random.below(4)],
    () => [OP.LONG1, 9, ...random.bytes(9)],
    () => [OP.BINFLOAT, ...random.bytes(8)],
    () => [...inner(), OP.MEMOIZE],
    () => [...inner(), random.pick(Object.values(OP)), ...random.bytes(random.below(5))],
  ])();
}

function pickle(random: Random): Uint8Array {
  const tensors = Object.fromEntries(random.list(1, 5, (i) => [`w${i}`, view(random)]));
  const plain = random.chance(0.5) ? py.dict(tensors) : value(random);
  const made = py.pickle(plain);
  if (random.chance(0.6)) return made;
  if (random.chance(0.5)) return mutateBytes(random, made);
  // opcodes at a place where they are understood
  const at = 2 + random.below(made.length - 2);
  const op = () => [random.pick(Object.values(OP)), ...random.bytes(random.below(9))];
  return joined(made.subarray(0, at), ...random.list(1, 4, op), made.subarray(at));
}

/** Changes of an archive that its entries allow. */
function entries(random: Random): FakeEntry[] {
  const out = entriesOf(pickle(random), STORAGES);
  if (random.chance(0.6)) return out;
  const at = random.below(out.length);
  const entry = out[at]!;
  const size = () => random.chance(0.5) ? edge(random) : random.below(2000);
  random.pick<() => unknown>([
    () => out.splice(at, 1),
    () => out.splice(at, 0, entry),
    () => out.splice(at, 1, { ...entry, name: text(random) }),
    () => out.splice(at, 1, { ...entry, name: mutateText(random, entry.name) }),
    () => out.splice(at, 1, { ...entry, size: Math.max(0, size()) }),
    () => out.splice(at, 1, { ...entry, packed: Math.max(0, size()) }),
    () => out.splice(at, 1, { ...entry, header: Math.max(0, size()) }),
    () => out.splice(at, 1, { ...entry, method: random.below(20) }),
    () => out.splice(at, 1, { ...entry, flags: random.below(2 ** 16) }),
    () => out.splice(at, 1, { ...entry, bytes: mutateBytes(random, entry.bytes!) }),
    () => out.push({ name: `m/${text(random)}`, bytes: random.bytes(random.below(50)) }),
  ])();
  return out;
}

async function read(bytes: Uint8Array): Promise<void> {
  const file = await openTorchCheckpoint(bytesSource("x.pth", bytes));
  await checkTensors(file);
}

const archive = (random: Random): Uint8Array<ArrayBuffer> => zip(entries(random));

export const torch = reader({ make: archive, read });

/** Archives whose entries are right: tensors must consist of storages, whatever the pickle says. */
export const torchPickle = reader({
  make: (random) => pickle(random),
  file: (bytes) => zip(entriesOf(bytes, STORAGES)),
  async read(bytes) {
    const file = await openTorchCheckpoint(bytesSource("x", zip(entriesOf(bytes, STORAGES))));
    await checkTensors(file);
    for (const [name, { byteLength }] of file.tensors) {
      if (byteLength > 2 ** 16) continue;
      const { buffer } = await file.read(name);
      claim(new Uint8Array(buffer).every((byte) => byte === MARK), "bytes of storages alone");
    }
  },
});

export const torchShrunk = reader({
  make(random) {
    const file = archive(random);
    const missing = 1 + random.below(random.chance(0.5) ? 100 : file.length);
    return { file: file.subarray(0, file.length - missing), missing };
  },
  async read({ file, missing }) {
    await checkTensors(await openTorchCheckpoint(shrunk("x.pth", file, missing)));
  },
});

/** Changes of an archive's bytes: mostly in its directory and in its end. */
export const torchBytes = reader({
  make(random) {
    const file = archive(random);
    const at = random.chance(0.7) ? Math.max(0, file.length - 600) : 0;
    return joined(file.subarray(0, at), mutateBytes(random, file.subarray(at)));
  },
  read,
});

export const torchLegacy = reader({
  make(random) {
    const all = py.dict(Object.fromEntries(STORAGES.map((of) => [`w${of.key}`, view(random, of)])));
    const keys = random.list(0, 4, () => random.pick(["0", "1", "2", "3"]));
    const file = legacyPth(random.chance(0.7) ? all : value(random), STORAGES, {
      ...random.chance(0.1) && { keys },
      little: random.chance(0.95),
    });
    const numbers = [Uint8Array.from(le(edge(random), 8))];
    return random.chance(0.5) ? file : mutateBytes(random, file, numbers);
  },
  read,
});
