import { conv2d as forward } from "../../../../kernels/conv/conv2d.ts";
import { conv2dBackward } from "../../../../kernels/conv/conv2d_backward.ts";
import { stageConv } from "../../../../kernels/conv/conv2d_weight.ts";
import { type ConvGeometry, outputShape } from "../../../../kernels/conv/conv_dispatch.ts";
import { accumulate } from "../../../../kernels/elementwise/accumulate.ts";
import type { FloatType } from "../../../../kernels/linear/weight_types.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** How {@link conv2d} convolves. */
export interface Conv2dOptions extends ConvGeometry {
  /** Added to the convolution, of the shape and type of the result. */
  readonly residual?: Variable;
  /** Type of the result; that of `residual`, or of activations, if absent. */
  readonly dtype?: FloatType;
}

/**
 * y [B, OH, OW, N] = conv(x) + bias (+ residual): x is [B, H, W, C] f32 or f16, weight [N, C, size, size] and bias [N]
 * f32, as in checkpoints (`torch.nn.Conv2d` on channels-last images; `upsample`, and `padding: "after"`, make it the
 * official Upsample and Downsample).
 */
export function conv2d(
  tape: Tape,
  x: Variable,
  weight: Variable,
  bias: Variable,
  options: Conv2dOptions = {},
): Variable {
  const { device } = tape;
  const { residual, dtype, ...how } = options;
  const [N = 0, , size = 0] = weight.value.shape;
  const shape = outputShape(x.value.shape, { N, size }, how);
  const y = tape.output(shape, "convolution", dtype ?? residual?.value.dtype as FloatType);
  if (residual) accumulate(device, residual.value, { tensor: y, add: false });
  using conv = stageConv(device, weight.value, { bias: bias.value, dtype: tape.dtype });
  forward(device, { x: x.value, conv, y, ...how, epilogue: residual ? "add" : "none" });
  const inputs = [x, weight, bias, ...residual ? [residual] : []];
  return tape.record(y, inputs, (dy) => {
    conv2dBackward(device, {
      x: x.value,
      weight: weight.value,
      dy,
      dx: x.gradient,
      dweight: weight.gradient,
      dbias: bias.gradient,
      dtype: tape.dtype,
      ...how,
    });
    residual?.take(dy);
  });
}
