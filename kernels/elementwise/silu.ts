import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./silu.wgsl" with { type: "text" };

const kernel = defineKernel("silu", source, ["x", "y"], ["count"]);

/** Arguments of {@link silu}. */
export interface SiluArgs {
  /** f32. */
  readonly x: Tensor;
  /** f32, as many elements as x. */
  readonly y: Tensor;
}

/**
 * y = x · sigmoid(x) (`torch.nn.SiLU`).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function silu(device: Device, { x, y }: SiluArgs): void {
  if (x.elements !== y.elements) {
    throw new KernelError("bad-shape", `Cannot write SiLU of [${x.shape}] to [${y.shape}]`);
  }
  const per = x.elements % 4 === 0 ? 4 : 1; // a view may end within a vec4
  const count = x.elements / per;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, V: per === 4 ? "vec4<f32>" : "f32" },
    bind: { x, y },
    params: { count },
    workgroups,
  });
}
