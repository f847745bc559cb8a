import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./force_bits.wgsl" with { type: "text" };

const kernel = defineKernel("force_bits", source, ["forced", "bits"], ["count"]);

/** Value in {@link ForceBitsArgs.forced} of a bit that stays as it was sampled. */
export const FREE = 2;

/** Arguments of {@link forceBits}. */
export interface ForceBitsArgs {
  /** u32 of the shape of `bits`: 0 or 1, or {@link FREE}. */
  readonly forced: Tensor;
  /** [B, L, d] u32, 0 or 1; changed in place. */
  readonly bits: Tensor;
}

/**
 * Replaces sampled bits by the given ones, if they are not {@link FREE} (`gt_leak` of `autoregressive_infer_cfg` in
 * infinity/models/infinity.py, but bit by bit).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function forceBits(device: Device, { forced, bits }: ForceBitsArgs): void {
  if (forced.shape.join() !== bits.shape.join()) {
    throw new KernelError("bad-shape", `Cannot force [${forced.shape}] on bits [${bits.shape}]`);
  }
  const { WG, workgroups } = spread(device, bits.elements);
  device.run(kernel, {
    specialise: { WG },
    bind: { forced, bits },
    params: { count: bits.elements },
    workgroups,
  });
}
