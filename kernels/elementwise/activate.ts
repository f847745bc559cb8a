import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { type Activation, activationLines } from "../shared/activations.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./activate.wgsl" with { type: "text" };

const kernel = defineKernel("activate", source, ["x", "y"], ["count"]);

const prelude = memoised((kind: Activation, dtype: string, per: 1 | 4) =>
  `${activationLines(kind)}\n${narrowLines(dtype, per)}`
);

/** Arguments of {@link activate}. */
export interface ActivateArgs {
  /** f32 or f16. */
  readonly x: Tensor;
  /** f32 or f16, as many elements as x. */
  readonly y: Tensor;
  /** `silu`: x · sigmoid(x) (`torch.nn.SiLU`); `gelu`: `torch.nn.GELU` in its tanh form. */
  readonly kind: Activation;
}

/**
 * y = the function of each element of x.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function activate(device: Device, { x, y, kind }: ActivateArgs): void {
  if (x.elements !== y.elements) {
    throw new KernelError("bad-shape", `Cannot write ${kind} of [${x.shape}] to [${y.shape}]`);
  }
  const { per, type } = vectorsOf(x.elements); // a view may end within a vec4
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, X: type(x.dtype), Y: type(y.dtype), V: type("f32") },
    functions: prelude(kind, y.dtype, per),
    bind: { x, y },
    params: { count },
    workgroups,
  });
}
