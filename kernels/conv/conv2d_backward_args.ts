import type { Tensor } from "../../engine/mod.ts";
import type { ConvGeometry } from "./conv_dispatch.ts";
import type { FloatType } from "../linear/weight_types.ts";
import type { Gradient } from "../shared/gradient.ts";

/** How to compute the gradient by a weight. `texture`: by subgroups that are CPU registers. `product`: of patches. */
export type WeightVariant = "texture" | "product";

/** Arguments of `conv2dBackward`. */
export interface Conv2dBackwardArgs extends ConvGeometry {
  /** Input of the convolution, [B, H, W, C] f32 or f16. */
  readonly x: Tensor;
  /** Its weight as in checkpoints, [N, C, size, size] f32. */
  readonly weight: Tensor;
  /** Gradient by its output, [B, OH, OW, N] f32 or f16. */
  readonly dy: Tensor;
  /** Gradient by x, f32 or f16; null if nobody asks for it. */
  readonly dx: Gradient | null;
  /** Gradient by the weight, [N, C, size, size] f32; or null. */
  readonly dweight: Gradient | null;
  /** Gradient by the bias, [N] f32; or null. */
  readonly dbias: Gradient | null;
  /** Type of what is packed for products: the weight, and patches of x; f32 if absent. */
  readonly dtype?: FloatType;
  /** How to compute the gradient by the weight; chosen by the adapter if absent. */
  readonly variant?: WeightVariant;
}
