import { DeviceError, InputError, KernelError } from "../base/errors.ts";

/** Element type of a {@link Tensor}. Kernels see `u8` only packed, four to a 32-bit word. */
export type TensorDType = "f32" | "f16" | "u32" | "i32" | "u8";

/** The elements of a tensor on the host. */
export type TensorData =
  | Float32Array<ArrayBuffer>
  | Float16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** Bytes of one element of each type. */
export const ELEMENT_BYTES: Readonly<Record<TensorDType, number>> = {
  f32: 4,
  f16: 2,
  u32: 4,
  i32: 4,
  u8: 1,
};

/** Returns the number of elements of a shape; 1 for the empty shape of a scalar. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const n of shape) count *= n;
  return count;
}

/** Views `bytes` as elements of `dtype`. */
export function viewBytes(dtype: TensorDType, bytes: ArrayBuffer): TensorData {
  switch (dtype) {
    case "f32":
      return new Float32Array(bytes);
    case "f16":
      return new Float16Array(bytes);
    case "u32":
      return new Uint32Array(bytes);
    case "i32":
      return new Int32Array(bytes);
    case "u8":
      return new Uint8Array(bytes);
  }
}

/** The memory of a tensor. */
export interface Storage {
  /** GPU buffer, whose size is a multiple of 16 bytes. */
  readonly buffer: GPUBuffer;
  /** Bytes of the buffer up to the end of the tensor that owns it; those of a view if absent. */
  readonly end?: number;
  /** Gives the buffer back. Called at most once. */
  release(): void;
}

/**
 * A dense row-major array in GPU memory: a dtype, a shape and a slice of a buffer.
 *
 * {@link Tensor.reshape} and {@link Tensor.rows} return views, which share the memory and never own it: only disposing
 * the tensor that {@link Device.tensor} returned gives the memory back.
 */
export class Tensor {
  /** Number of elements. */
  readonly elements: number;
  /** Bytes of the elements, without padding. */
  readonly byteLength: number;
  #storage: Storage;
  #owner: Tensor;
  #disposed = false;

  /** Use {@link Device.tensor}. */
  constructor(
    /** Element type. */
    readonly dtype: TensorDType,
    /** Extent of each axis, outermost first. */
    readonly shape: readonly number[],
    storage: Storage,
    /** Byte offset of the first element in the buffer. */
    readonly byteOffset: number = 0,
    owner?: Tensor,
  ) {
    this.elements = elementCount(shape);
    this.byteLength = this.elements * ELEMENT_BYTES[dtype];
    this.#storage = storage;
    this.#owner = owner ?? this;
  }

  /**
   * GPU buffer that holds the elements.
   *
   * @throws {KernelError} `disposed-tensor`: the tensor was disposed.
   */
  get buffer(): GPUBuffer {
    if (this.#disposed) throw new KernelError("disposed-tensor", "Cannot use a disposed tensor");
    return this.#storage.buffer;
  }

  /** Bytes of the elements in whole vec4s, as kernels see them. */
  get paddedBytes(): number {
    return Math.max(16, Math.ceil(this.byteLength / 16) * 16);
  }

  /**
   * Bytes from the first element to the end of the tensor that owns the memory. Kernels bind so many, also of a view:
   * then all views from the same element on share one bind group.
   */
  get reachableBytes(): number {
    const { end } = this.#storage;
    return end === undefined ? this.paddedBytes : end - this.byteOffset;
  }

  /** Whether no elements of others follow: after them, the memory goes on to a whole vec4. */
  get last(): boolean {
    const { byteOffset, byteLength } = this.#owner;
    return this.byteOffset + this.byteLength === byteOffset + byteLength;
  }

  /**
   * Returns a view of the same elements with another shape.
   *
   * @throws {KernelError} `bad-shape`: it has another number of elements.
   */
  reshape(...shape: number[]): Tensor {
    if (elementCount(shape) !== this.elements) {
      throw new KernelError("bad-shape", `Cannot reshape [${this.shape}] to [${shape}]`);
    }
    return new Tensor(this.dtype, shape, this.#storage, this.byteOffset, this.#owner);
  }

  /**
   * Returns a view of `count` entries of the first axis, from `start` on. Kernels can bind it only if its byte offset
   * is a multiple of the adapter's alignment, which is 256 at most.
   *
   * @throws {KernelError} `bad-slice`: the entries are not inside the tensor.
   */
  rows(start: number, count: number): Tensor {
    const [first = 1, ...rest] = this.shape;
    if (start < 0 || count < 0 || start + count > first) {
      throw new KernelError(
        "bad-slice",
        `Cannot take rows ${start}..${start + count} of [${this.shape}]`,
      );
    }
    const offset = this.byteOffset + start * elementCount(rest) * ELEMENT_BYTES[this.dtype];
    return new Tensor(this.dtype, [count, ...rest], this.#storage, offset, this.#owner);
  }

  /** Gives the memory back if this tensor owns it. Later use throws. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#owner === this) this.#storage.release();
  }

  /** Calls {@link Tensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Checks the type and the extents of a tensor, for callers without a type checker. @throws {InputError} `bad-type`. */
export function checkShape(dtype: unknown, shape: unknown): void {
  const isType = typeof dtype === "string" && Object.hasOwn(ELEMENT_BYTES, dtype);
  const isSize = (n: unknown) => Number.isSafeInteger(n) && n as number >= 0;
  if (isType && Array.isArray(shape) && [...shape].every(isSize)) return;
  throw new InputError(
    "bad-type",
    `Cannot make a tensor: it takes one of ${
      Object.keys(ELEMENT_BYTES).join(", ")
    } and a list of ` +
      "whole numbers",
  );
}

/**
 * Checks where data lie that are copied: the GPU does it in words of 4 bytes.
 *
 * @throws {InputError} `bad-type`.
 * @throws {DeviceError} `misaligned`: it is in the midst of a word.
 * @throws {KernelError} `disposed-tensor`.
 */
export function checkPlace(tensor: unknown, offset: unknown = 0): asserts tensor is Tensor {
  if (!(tensor instanceof Tensor && Number.isSafeInteger(offset) && offset as number >= 0)) {
    throw new InputError(
      "bad-type",
      "Cannot copy data: it takes a tensor and a byte offset from 0",
    );
  }
  void tensor.buffer; // disposed, it throws
  const at = tensor.byteOffset + (offset as number);
  if (at % 4) {
    throw new DeviceError(
      "misaligned",
      `Cannot copy data at byte ${at} of a buffer: not a multiple of 4`,
    );
  }
}

/**
 * Checks that data fit in a tensor from byte `offset` on, and that no element of another shares their last word.
 *
 * @throws {InputError | DeviceError | KernelError} As {@link checkPlace}; `upload-too-large`, `copy-too-large`.
 */
export function checkRoom(data: Tensor | TensorData, tensor: unknown, offset: number): void {
  const how = data instanceof Tensor ? "copy" : "upload";
  if (how === "upload" && !ArrayBuffer.isView(data)) {
    throw new InputError("bad-type", "Cannot upload what is not an array of numbers");
  }
  checkPlace(tensor, offset);
  const { byteLength, last } = tensor;
  const bytes = data.byteLength;
  const end = offset + bytes;
  const what = `Cannot ${how} ${bytes} bytes at ${offset} to a tensor of ${byteLength}`;
  if (end > (last ? Math.ceil(byteLength / 4) * 4 : byteLength)) {
    throw new DeviceError(`${how}-too-large`, what);
  }
  if (bytes % 4 === 0 || (last && Math.ceil(end / 4) * 4 >= byteLength)) return;
  throw new DeviceError("misaligned", `${what}: others share the last word of 4 bytes`);
}

/** Checks that data are all elements of a tensor. @throws {InputError} `bad-type`: they are more, fewer or others. */
export function checkData({ dtype, shape, elements }: Tensor, data: TensorData): void {
  const type = viewBytes(dtype, new ArrayBuffer(0)).constructor;
  if (data instanceof type && data.length === elements) return;
  throw new InputError(
    "bad-type",
    `Cannot make ${dtype} [${shape}]: it takes ${type.name} of length ${elements}`,
  );
}
