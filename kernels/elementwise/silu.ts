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
  // buffers end on a whole vec4, so it may write past an odd tail
  const count = Math.ceil(x.elements / 4);
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG },
    bind: { x, y },
    params: { count },
    workgroups,
  });
}
