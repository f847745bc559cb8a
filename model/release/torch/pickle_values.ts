/**
 * The values that a PyTorch checkpoint may hold: the allow-list of Python names, and their
 * counterparts here. No code of a file is ever called; a name that is not listed is refused.
 *
 * @module
 */

import type { Dtype } from "../../../engine/mod.ts";

/** A value of a pickle. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tuple
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Global
  | StorageRef
  | TensorRef
  | Opaque;

/** A tuple, which unlike a list cannot change. */
export class Tuple {
  /** Makes a tuple. */
  constructor(
    /** The values. */
    readonly items: readonly PickleValue[],
  ) {}
}

/** A Python name of the allow-list. */
export class Global {
  /** Makes a reference to `name`. */
  constructor(
    /** The full name, such as `torch._utils._rebuild_tensor_v2`. */
    readonly name: string,
    /** Its meaning here. */
    readonly use: Use,
  ) {}
}

/** A harmless value whose content is not needed, such as the arguments of a training run. */
export class Opaque {}

/** A storage: numbers outside the pickle. */
export interface StorageRef {
  /** Its name in the file. */
  readonly key: string;
  /** Type of the numbers. */
  readonly dtype: Dtype;
  /** Number of elements. */
  readonly elements: number;
  /** Offset of a view into it, in elements; 0 except in old files. */
  readonly viewOffset: number;
}

/** A tensor: a view of a storage. */
export class TensorRef {
  /** Makes a view of `storage`. */
  constructor(
    /** The storage of its numbers. */
    readonly storage: StorageRef,
    /** Offset of the first element. */
    readonly offset: number,
    /** Sizes of the dimensions. */
    readonly shape: readonly number[],
    /** Distance in elements between neighbouring indices, per dimension. */
    readonly strides: readonly number[],
  ) {}
}

/** The meaning of a name on the allow-list when a pickle "calls" it. */
export type Use =
  | { readonly kind: "dict" | "tensor" | "parameter" | "tuple" | "opaque" }
  | { readonly kind: "storage"; readonly dtype: Dtype };

const STORAGES: Readonly<Record<string, Dtype>> = {
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  DoubleStorage: "F64",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

const OPAQUE = [
  "argparse.Namespace",
  "torch.device",
  ..."float32 float float64 double float16 half bfloat16 uint8 int8 int16 int32 int64 long bool"
    .split(" ").map((name) => `torch.${name}`),
  "__builtin__.set",
  "builtins.set",
  "_codecs.encode", // bytes, in protocol 2
  "numpy.dtype",
  "numpy.core.multiarray.scalar",
  "numpy._core.multiarray.scalar",
];

const GLOBALS: ReadonlyMap<string, Use> = new Map<string, Use>([
  ["collections.OrderedDict", { kind: "dict" }],
  ["torch.Size", { kind: "tuple" }],
  ["torch._utils._rebuild_tensor", { kind: "tensor" }],
  ["torch._utils._rebuild_tensor_v2", { kind: "tensor" }],
  ["torch._utils._rebuild_parameter", { kind: "parameter" }],
  ["torch._utils._rebuild_parameter_with_state", { kind: "parameter" }],
  ...OPAQUE.map((name): [string, Use] => [name, { kind: "opaque" }]),
  ...Object.entries(STORAGES).flatMap(([name, dtype]): [string, Use][] => [
    [`torch.${name}`, { kind: "storage", dtype }],
    [`torch.cuda.${name}`, { kind: "storage", dtype }],
  ]),
]);

/** Returns the meaning of a Python name; `undefined` if it is not on the allow-list. */
export function findGlobal(name: string): Global | undefined {
  const use = GLOBALS.get(name);
  return use && new Global(name, use);
}

/** Returns the result of calling a name with arguments; `undefined` if it does not accept them. */
export function reduce({ use }: Global, args: readonly PickleValue[]): PickleValue | undefined {
  switch (use.kind) {
    case "dict":
      return args.length === 0 ? new Map() : undefined;
    case "tensor":
      return rebuildTensor(args);
    case "parameter":
      return args[0] instanceof TensorRef ? args[0] : undefined;
    case "tuple":
      return args.length === 1 && args[0] instanceof Tuple ? args[0] : undefined;
    case "opaque":
      return new Opaque();
    case "storage":
      return undefined;
  }
}

function rebuildTensor(
  [storage, offset, size, stride]: readonly PickleValue[],
): TensorRef | undefined {
  const shape = counts(size);
  const strides = counts(stride);
  if (!isStorageRef(storage) || !isCount(offset) || !shape || !strides) return undefined;
  // PyTorch has at most 64 dimensions
  if (shape.length !== strides.length || shape.length > 64) return undefined;
  return new TensorRef(storage, storage.viewOffset + offset, shape, strides);
}

/**
 * Reads a persistent id of the only kind in checkpoints:
 * `("storage", type, key, location, elements)`, in old files with `(key, offset, elements)` of a view.
 */
export function storageOf(id: PickleValue): StorageRef | undefined {
  if (!(id instanceof Tuple)) return undefined;
  const [tag, type, key, location, elements, view = null, ...more] = id.items;
  if (tag !== "storage" || !(type instanceof Global) || type.use.kind !== "storage") return;
  if (typeof key !== "string" || typeof location !== "string" || more.length > 0) return;
  if (!isCount(elements)) return undefined;
  const { dtype } = type.use;
  if (view === null) return new Storage(key, dtype, elements, 0);
  const [viewKey, offset, length] = view instanceof Tuple ? view.items : [];
  if (typeof viewKey !== "string" || !isCount(offset) || !isCount(length)) return undefined;
  return offset + length <= elements ? new Storage(key, dtype, elements, offset) : undefined;
}

class Storage implements StorageRef {
  constructor(
    readonly key: string,
    readonly dtype: Dtype,
    readonly elements: number,
    readonly viewOffset: number,
  ) {}
}

function isStorageRef(value: PickleValue | undefined): value is StorageRef {
  return value instanceof Storage;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function counts(value: PickleValue | undefined): number[] | undefined {
  const items = value instanceof Tuple ? value.items : Array.isArray(value) ? value : undefined;
  return items?.every(isCount) ? [...items] as number[] : undefined;
}
