import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { type Activation, slopeLines } from "../shared/activations.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./activate_backward.wgsl" with { type: "text" };

const kernel = defineKernel("activate_backward", source, ["x", "dy", "dx"], ["count"]);

const prelude = memoised((kind: Activation, dtype: string, per: 1 | 4) =>
  `${slopeLines(kind)}\n${gradientLines(dtype, per)}`
);

/** Arguments of {@link activateBackward}. */
export interface ActivateBackwardArgs {
  /** What `activate` was given, f32 or f16. */
  readonly x: Tensor;
  /** Gradient of its output, f32 or f16, as large as x. */
  readonly dy: Tensor;
  /** The function. */
  readonly kind: Activation;
  /** Gradient of x, f32 or f16; nothing is done if null. */
  readonly dx: Gradient | null;
}

/**
 * dx = dy · the slope of the function at x: the gradient of `activate`.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function activateBackward(
  device: Device,
  { x, dy, kind, dx }: ActivateBackwardArgs,
): void {
  if (!dx) return;
  const { tensor, add } = dx;
  if (x.elements !== dy.elements || x.elements !== tensor.elements) {
    throw new KernelError(
      "bad-shape",
      `Cannot send [${dy.shape}] back through ${kind} of [${x.shape}] to [${tensor.shape}]`,
    );
  }
  const { per, type } = vectorsOf(x.elements); // a view may end within a vec4
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      X: type(x.dtype),
      DY: type(dy.dtype),
      DX: type(tensor.dtype),
      V: type("f32"),
    },
    functions: prelude(kind, tensor.dtype, per),
    bind: { x, dy, dx: tensor },
    params: { count },
    workgroups,
  });
}
