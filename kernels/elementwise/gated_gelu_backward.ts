import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { activationLines, slopeLines } from "../shared/activations.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./gated_gelu_backward.wgsl" with { type: "text" };

const kernel = defineKernel("gated_gelu_backward", source, ["h", "dy", "dh"], ["count", "F"]);

const prelude = memoised((dtype: string, per: 1 | 4) =>
  [activationLines("gelu"), slopeLines("gelu"), gradientLines(dtype, per)].join("\n")
);

/** Arguments of {@link gatedGeluBackward}. */
export interface GatedGeluBackwardArgs {
  /** What `gatedGelu` was given, [T, 2F] f32 or f16. */
  readonly h: Tensor;
  /** Gradient of its output, [T, F] f32 or f16. */
  readonly dy: Tensor;
  /** Gradient of h, f32 or f16; nothing is done if null. */
  readonly dh: Gradient | null;
}

/**
 * dh[:, :F] = dy · gelu'(h[:, :F]) · h[:, F:], dh[:, F:] = dy · gelu(h[:, :F]): the gradient of `gatedGelu`.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function gatedGeluBackward(device: Device, { h, dy, dh }: GatedGeluBackwardArgs): void {
  if (!dh) return;
  const { tensor, add } = dh;
  const F = dy.shape.at(-1) ?? 0;
  if (
    h.shape.at(-1) !== 2 * F || h.elements !== 2 * dy.elements || tensor.elements !== h.elements
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot send [${dy.shape}] back through the gate of [${h.shape}] to [${tensor.shape}]`,
    );
  }
  const { per, type } = vectorsOf(F);
  const { WG, workgroups } = spread(device, dy.elements / per);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      H: type(h.dtype),
      DY: type(dy.dtype),
      DH: type(tensor.dtype),
      V: type("f32"),
    },
    functions: prelude(tensor.dtype, per),
    bind: { h, dy, dh: tensor },
    params: { count: dy.elements / per, F: F / per },
    workgroups,
  });
}
