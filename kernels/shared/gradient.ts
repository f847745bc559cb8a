import type { Tensor } from "../../engine/mod.ts";

/** Where a kernel of a backward pass puts a gradient. */
export interface Gradient {
  /** As large as what it is the gradient of. */
  readonly tensor: Tensor;
  /** Whether it is added to what the tensor holds, instead of replacing it. */
  readonly add: boolean;
}
