/**
 * What the kernels of {@link conv2d} for weights in buffers share: bindings and parameters.
 *
 * @module
 */

import type { Tensor, Work } from "../../engine/mod.ts";

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
  "accumulate",
  "first",
] as const;

/** Arguments of a dispatch that do not depend on the kernel. */
export interface ConvDispatch {
  /** Tensors by binding. */
  readonly bind: Readonly<Record<(typeof BINDINGS)[number], Tensor>>;
  /** Values by parameter. */
  readonly params: Readonly<Record<(typeof PARAMS)[number], number>>;
  /** Shape and operations. */
  readonly work: Work;
}
