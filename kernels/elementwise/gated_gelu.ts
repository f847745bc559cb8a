import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { activationLines } from "../shared/activations.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./gated_gelu.wgsl" with { type: "text" };

const kernel = defineKernel("gated_gelu", source, ["h", "y"], ["count", "F"]);

const prelude = memoised((dtype: string, per: 1 | 4) =>
  `${activationLines("gelu")}\n${narrowLines(dtype, per)}`
);

/** Arguments of {@link gatedGelu}. */
export interface GatedGeluArgs {
  /** [T, 2F] f32 or f16: `wi_0`'s output, then `wi_1`'s. */
  readonly h: Tensor;
  /** [T, F] f32 or f16. */
  readonly y: Tensor;
}

/**
 * y = gelu(h[:, :F]) · h[:, F:], where GELU is the tanh form (T5 v1.1's `DenseReluDense`; GEGLU of Shazeer 2020).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function gatedGelu(device: Device, { h, y }: GatedGeluArgs): void {
  const F = y.shape.at(-1) ?? 0;
  if (h.shape.at(-1) !== 2 * F || h.elements !== 2 * y.elements) {
    throw new KernelError("bad-shape", `Cannot gate [${h.shape}] into [${y.shape}]`);
  }
  const { per, type } = vectorsOf(F);
  const { WG, workgroups } = spread(device, y.elements / per);
  device.run(kernel, {
    specialise: { H: type(h.dtype), Y: type(y.dtype), V: type("f32"), WG },
    functions: prelude(y.dtype, per), // T5's products outgrow f16
    bind: { h, y },
    params: { count: y.elements / per, F: F / per },
    workgroups,
  });
}
