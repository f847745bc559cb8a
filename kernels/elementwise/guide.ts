import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./guide.wgsl" with { type: "text" };

const kernel = defineKernel("guide", source, ["y"], ["half", "cfg"]);

/** Arguments of {@link guide}. */
export interface GuideArgs {
  /** [2·B, L, C] f32, conditional images first; changed in place. */
  readonly y: Tensor;
  /** Guidance scale; 1 gives the conditional half alone. */
  readonly cfg: number;
}

/**
 * Applies classifier-free guidance to hidden states: both halves become cfg · cond + (1 − cfg) · uncond
 * (`cfg_insertion_layer` < 0 in infinity/models/infinity.py).
 *
 * @throws {KernelError} `bad-shape`: the elements of a half are not divisible by 4.
 */
export function guide(device: Device, { y, cfg }: GuideArgs): void {
  if (y.elements % 8) throw new KernelError("bad-shape", `Cannot guide [${y.shape}]`);
  const half = y.elements / 8;
  const { WG, workgroups } = spread(device, half);
  device.run(kernel, {
    specialise: { WG },
    bind: { y },
    params: { half, cfg },
    workgroups,
  });
}
