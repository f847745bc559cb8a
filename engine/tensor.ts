import { KernelError } from "./errors.ts";

/** Element type of a {@link Tensor}. `u8` exists only packed four to a 32-bit word in kernels. */
export type TensorDType = "f32" | "f16" | "u32" | "i32" | "u8";

/** The JavaScript view of a tensor's elements. */
export type TensorData =
  | Float32Array<ArrayBuffer>
  | Float16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** Bytes of one element. */
export const ELEMENT_BYTES: Readonly<Record<TensorDType, number>> = {
  f32: 4,
  f16: 2,
  u32: 4,
  i32: 4,
  u8: 1,
};

/** Number of elements of a shape; 1 for a scalar's empty shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
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

/** What a tensor needs of the memory it lies in. */
export interface Storage {
  /** The GPU buffer; its size is a multiple of 16 bytes. */
  readonly buffer: GPUBuffer;
  /** Gives the buffer back; called at most once. */
  release(): void;
}

/**
 * A dense row-major array in GPU memory: a dtype, a shape and a slice of a buffer.
 *
 * {@link Tensor.reshape} and {@link Tensor.rows} are views that share the memory and never own it;
 * only the tensor that {@link Device.tensor} returned gives its memory back on dispose.
 */
export class Tensor {
  #storage: Storage;
  #owner: boolean;
  #disposed = false;

  /** Use {@link Device.tensor}. */
  constructor(
    /** Element type. */
    readonly dtype: TensorDType,
    /** Extent of each axis, outermost first. */
    readonly shape: readonly number[],
    storage: Storage,
    /** Where the first element lies in the buffer, in bytes. */
    readonly byteOffset: number = 0,
    owner: boolean = true,
  ) {
    this.#storage = storage;
    this.#owner = owner;
  }

  /** The GPU buffer. Throws once the tensor is disposed. */
  get buffer(): GPUBuffer {
    if (this.#disposed) throw new KernelError("disposed-tensor", "Cannot use a disposed tensor");
    return this.#storage.buffer;
  }

  /** Number of elements. */
  get elements(): number {
    return elementCount(this.shape);
  }

  /** Bytes of the elements, without padding. */
  get byteLength(): number {
    return this.elements * ELEMENT_BYTES[this.dtype];
  }

  /** A view of the same elements under another shape. */
  reshape(...shape: number[]): Tensor {
    if (elementCount(shape) !== this.elements) {
      throw new KernelError("bad-shape", `Cannot reshape [${this.shape}] to [${shape}]`);
    }
    return new Tensor(this.dtype, shape, this.#storage, this.byteOffset, false);
  }

  /**
   * A view of `count` entries along the first axis, beginning at `start`.
   * It can be bound to a kernel only where its byte offset is a multiple of the adapter's alignment (at most 256).
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
    return new Tensor(this.dtype, [count, ...rest], this.#storage, offset, false);
  }

  /** Gives the memory back if this tensor owns it; later use throws. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#owner) this.#storage.release();
  }

  /** {@link Tensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
