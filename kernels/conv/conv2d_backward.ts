import { type Device, KernelError } from "../../engine/mod.ts";
import type { Conv2dBackwardArgs } from "./conv2d_backward_args.ts";
import { inputGradient } from "./conv2d_backward_input.ts";
import { weightGradient } from "./conv2d_backward_weight.ts";
import { outputShape } from "./conv_dispatch.ts";
import { columnSums } from "../linear/column_sums.ts";

/**
 * The gradients of {@link conv2d} by its input, weight and bias, with f32 sums in a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function conv2dBackward(device: Device, args: Conv2dBackwardArgs): void {
  const { x, weight, dy, dx, dweight, dbias } = args;
  const [N = 0, C = 0, size = 0, width = 0] = weight.shape;
  const expected = outputShape(x.shape, { N, size }, args);
  if (
    x.shape.length !== 4 || x.shape[3] !== C || size !== width || size % 2 === 0 ||
    dy.shape.join() !== expected.join() || (dx && dx.tensor.elements !== x.elements) ||
    (dweight && dweight.tensor.elements !== weight.elements) ||
    (dbias && dbias.tensor.elements !== N)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot send the gradient of [${dy.shape}] back to [${x.shape}] and [${weight.shape}], ` +
        `expected [${expected}]`,
    );
  }
  if (dweight && dweight.tensor.dtype !== "f32") {
    throw new KernelError("bad-shape", `Cannot sum the gradient of a weight in f16: use f32`);
  }
  if (dx) inputGradient(device, args, dx);
  if (dweight) weightGradient(device, args, dweight);
  if (dbias) columnSums(device, { x: dy, y: dbias });
}
