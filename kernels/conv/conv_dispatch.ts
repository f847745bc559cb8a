/**
 * What the kernels of convolutions share: how they read their input; bindings and parameters of those of
 * {@link conv2d} for weights in buffers.
 *
 * @module
 */

import { type Device, ELEMENT_BYTES, type Tensor, type Work } from "../../engine/mod.ts";
import type { FloatType } from "../linear/weight_types.ts";
import type { Overflow } from "../shared/narrow.ts";

/** How a convolution reads its input. */
export interface ConvGeometry {
  /** Step between output pixels; 1 if absent. */
  readonly stride?: 1 | 2;
  /** Whether to read x as if it were twice as high and wide (nearest). */
  readonly upsample?: boolean;
  /** `same` (the default): zeros on all sides; `after`: only below and on the right (the official `Downsample`). */
  readonly padding?: "same" | "after";
}

/** Zeros before each row and column of the input. For `same`, an even kernel has one more behind them. */
export function padBefore(size: number, padding: "same" | "after" = "same"): number {
  return padding === "same" ? Math.floor((size - 1) / 2) : 0;
}

/** Returns the shape of the output for an input [B, H, W, C]. */
export function outputShape(
  [B = 0, H = 0, W = 0]: readonly number[],
  { N, size }: { readonly N: number; readonly size: number },
  { stride = 1, upsample = false, padding = "same" }: ConvGeometry,
): number[] {
  const zeros = padding === "same" ? size - 1 : padBefore(size);
  const along = (extent: number) =>
    Math.floor((extent * (upsample ? 2 : 1) + zeros - size) / stride) + 1;
  return [B, along(H), along(W), N];
}

/** Bindings of the kernels. */
export const BINDINGS = ["x", "w", "bias", "y"] as const;

/** Parameters of the kernels. */
export const PARAMS = [
  "pixels",
  "height",
  "width",
  "in_height",
  "in_width",
  "C",
  "N",
  "size",
  "stride",
  "pad_y",
  "pad_x",
  "upsample",
  "has_bias",
  "accumulate",
  "first",
] as const;

/** Arguments of a dispatch that do not depend on the kernel. */
export interface ConvDispatch {
  /** Tensors by binding. */
  readonly bind: {
    readonly x: Tensor;
    readonly w: Tensor;
    readonly bias: Tensor | null;
    readonly y: Tensor;
  };
  /** Values by parameter. */
  readonly params: Readonly<Record<(typeof PARAMS)[number], number>>;
  /** Shape and operations. */
  readonly work: Work;
  /** What becomes of sums beyond the range of f16. */
  readonly overflow: Overflow | undefined;
}

/** Shape and operations of a dispatch. */
export function convWork(
  { pixels, size, C, N }: Readonly<Record<"pixels" | "size" | "C" | "N", number>>,
): Work {
  const K = size * size * C;
  return { shape: [pixels, K, N], flops: 2 * pixels * K * N };
}

/** Bytes that what is made for a while takes at most, if that of one image takes less. */
const MOST_BYTES = { cpu: 64 << 20, gpu: 256 << 20 } as const;

/** See {@link MOST_BYTES}; it can be bound. */
export function mostBytes({ capabilities, gpu }: Device): number {
  return Math.min(MOST_BYTES[capabilities.class], gpu.limits.maxStorageBufferBindingSize);
}

/**
 * Memory for what is made for a while: of a power of two of bytes up to {@link mostBytes}, so that the pool keeps a
 * few buffers for convolutions of all sizes.
 */
export function scratch(device: Device, dtype: FloatType, elements: number, label: string): Tensor {
  const most = mostBytes(device) / ELEMENT_BYTES[dtype];
  const rounded = Math.min(most, 2 ** Math.ceil(Math.log2(elements)));
  return device.tensor(dtype, [Math.max(elements, rounded)], label);
}

/** Bytes to whose multiples bindings are aligned on every adapter. */
const ALIGN = 256;

/**
 * Cuts B images into parts of at most `most` images each, or of one: first image and number of images of each. Where
 * a part of `tensors` [B, …] could not be bound, for it would begin at any byte, parts are larger.
 */
export function imagesInParts(
  B: number,
  most: number,
  tensors: readonly Tensor[],
): [first: number, count: number][] {
  const aligned = (count: number) =>
    count >= B || tensors.every(({ byteLength }) => byteLength / B * count % ALIGN === 0);
  let count = Math.max(1, Math.floor(most));
  if (!aligned(count)) {
    // of a power of two of images, all parts are aligned if any are
    count = 2 ** Math.floor(Math.log2(count));
    while (!aligned(count)) count *= 2;
  }
  return Array.from(
    { length: Math.ceil(B / count) },
    (_, i) => [i * count, Math.min(count, B - i * count)],
  );
}
