import { defineKernel, type Device, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./fill.wgsl" with { type: "text" };

const kernel = defineKernel("fill", source, ["y"], ["count", "value"]);

/** Sets all elements of y, f32 or f16, to a number that its type holds. */
export function fill(device: Device, y: Tensor, value: number): void {
  const per = y.elements % 4 === 0 ? 4 : 1; // a view may end within a vec4
  const count = y.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, Y: per === 4 ? `vec4<${y.dtype}>` : y.dtype, T: y.dtype },
    bind: { y },
    params: { count, value },
    workgroups,
  });
}
