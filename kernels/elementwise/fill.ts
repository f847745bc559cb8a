import { defineKernel, type Device, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./fill.wgsl" with { type: "text" };

const kernel = defineKernel("fill", source, ["y"], ["count", "value"]);

/** Sets all elements of y, f32 or f16, to a number that its type holds. */
export function fill(device: Device, y: Tensor, value: number): void {
  const { per, type } = vectorsOf(y.elements); // a view may end within a vec4
  const count = y.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, Y: type(y.dtype), T: y.dtype },
    bind: { y },
    params: { count, value },
    workgroups,
  });
}
