import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./accumulate.wgsl" with { type: "text" };

const kernel = defineKernel("accumulate", source, ["x", "y"], ["count"]);

const prelude = memoised((dtype: string, per: 1 | 4) => gradientLines(dtype, per));

/**
 * y = x, or y = y + x: both f32 or f16.
 *
 * @throws {KernelError} `bad-shape`: numbers of elements disagree.
 */
export function accumulate(device: Device, x: Tensor, { tensor: y, add }: Gradient): void {
  if (x.elements !== y.elements) {
    throw new KernelError("bad-shape", `Cannot add [${x.shape}] to [${y.shape}]`);
  }
  const { per, type } = vectorsOf(x.elements); // a view may end within a vec4
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, ADD: add, X: type(x.dtype), Y: type(y.dtype), V: type("f32") },
    functions: prelude(y.dtype, per),
    bind: { x, y },
    params: { count },
    workgroups,
  });
}
