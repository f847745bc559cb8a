import {
  defineKernel,
  type Device,
  elementCount,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { conv2d } from "./conv2d.ts";
import type { Conv2dBackwardArgs } from "./conv2d_backward_args.ts";
import { stageConv } from "./conv2d_weight.ts";
import { imagesInParts, mostBytes, padBefore, scratch } from "./conv_dispatch.ts";
import { divideLines } from "../shared/divide.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./conv2d_backward_fold.wgsl" with { type: "text" };

const kernel = defineKernel("conv2d_backward_fold", source, ["products", "dx"], [
  "count",
  "height",
  "width",
  "out_height",
  "out_width",
  "C",
  "pad",
]);

const prelude = memoised((dtype: string, per: 1 | 4, divide: string) =>
  `${divide}\n${gradientLines(dtype, per)}`
);

/**
 * The gradient of a convolution by its input. In steps of one pixel, it is a convolution, too; in steps of two, most
 * products of one would be with zeros, so dy is multiplied by the weights of all taps, and what meets a pixel summed.
 */
export function inputGradient(device: Device, args: Conv2dBackwardArgs, dx: Gradient): void {
  const { x, weight, dy, stride = 1, upsample = false, padding = "same", dtype = "f32" } = args;
  const size = weight.shape[2]!;
  const gradient = dx.tensor.reshape(...x.shape);
  const overflow = "infinity";
  if (stride === 1 && padding === "same" && (!upsample || size === 3)) {
    const use = upsample ? "backward upsampled" : "backward";
    using conv = stageConv(device, weight, { dtype, use });
    const epilogue = dx.add ? "add" : "none";
    const step = upsample ? 2 : 1;
    return conv2d(device, { x: dy, conv, y: gradient, stride: step, epilogue, overflow });
  }
  using conv = stageConv(device, weight, { dtype, use: "products" });
  const [B = 0, OH = 0, OW = 0] = dy.shape;
  const bytes = 4 * OH * OW * conv.N;
  for (const [first, count] of imagesInParts(B, mostBytes(device) / bytes, [dy, gradient])) {
    const shape = [count, OH, OW, conv.N];
    using memory = scratch(device, "f32", elementCount(shape), "products of a gradient");
    const products = memory.rows(0, elementCount(shape)).reshape(...shape);
    // one long row of pixels: a plain product
    const [x, y] = [dy.rows(first, count), products].map((images) =>
      images.reshape(1, 1, count * OH * OW, images.shape[3]!)
    ) as [Tensor, Tensor];
    conv2d(device, { x, conv, y, overflow });
    fold(device, args, products, { tensor: gradient.rows(first, count), add: dx.add });
  }
}

/** Sums [B, OH, OW, size² · C] f32 to [B, H, W, C]. */
function fold(
  device: Device,
  { weight, stride = 1, upsample = false, padding }: Conv2dBackwardArgs,
  products: Tensor,
  { tensor: dx, add }: Gradient,
): void {
  const [, height = 0, width = 0, C = 0] = dx.shape;
  const [, out_height = 0, out_width = 0] = products.shape;
  const size = weight.shape[2]!;
  const { per, type } = vectorsOf(C);
  const count = dx.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      T: type("f32"),
      Y: type(dx.dtype),
      SIZE: size,
      STRIDE: stride,
      REACH: Math.ceil(size / stride),
      SCALE: upsample ? 2 : 1,
    },
    functions: prelude(dx.dtype, per, divideLines(device, count)),
    bind: { products, dx },
    params: {
      count,
      height,
      width,
      out_height,
      out_width,
      C: C / per,
      pad: padBefore(size, padding),
    },
    workgroups,
  });
}
