import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import type { Gradient } from "../shared/gradient.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import source from "./accumulate.wgsl" with { type: "text" };

const kernel = defineKernel("accumulate", source, ["x", "y"], ["count"]);

const prelude = memoised((dtype: string, V: string, Y: string) => narrowLines(dtype, V, Y));

/**
 * y = x, or y = y + x: both f32 or f16.
 *
 * @throws {KernelError} `bad-shape`: numbers of elements disagree.
 */
export function accumulate(device: Device, x: Tensor, { tensor: y, add }: Gradient): void {
  if (x.elements !== y.elements) {
    throw new KernelError("bad-shape", `Cannot add [${x.shape}] to [${y.shape}]`);
  }
  const per = x.elements % 4 === 0 ? 4 : 1; // a view may end within a vec4
  const type = (scalar: string) => per === 4 ? `vec4<${scalar}>` : scalar;
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, ADD: add, X: type(x.dtype), Y: type(y.dtype), V: type("f32") },
    functions: prelude(y.dtype, type("f32"), type(y.dtype)),
    bind: { x, y },
    params: { count },
    workgroups,
  });
}
