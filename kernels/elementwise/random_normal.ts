import { defineKernel, type Device, type Tensor } from "../../engine/mod.ts";
import philox from "../shared/philox.wgsl" with { type: "text" };
import { spread } from "../shared/spread.ts";
import source from "./random_normal.wgsl" with { type: "text" };

const kernel = defineKernel("random_normal", source, ["y"], ["count", "key", "mean", "deviation"]);

/** Arguments of {@link randomNormal}. */
export interface RandomNormalArgs {
  /** f32, of any shape. */
  readonly y: Tensor;
  /** Seed of 32 bits. */
  readonly key: number;
  /** 0 if absent. */
  readonly mean?: number;
  /** Standard deviation; 1 if absent. */
  readonly deviation?: number;
}

/**
 * Fills y with independent normal numbers. They are the same on every adapter but for the rounding of log, sin and cos.
 */
export function randomNormal(device: Device, args: RandomNormalArgs): void {
  const { y, key, mean = 0, deviation = 1 } = args;
  // buffers end on a whole vec4, so it may write past an odd tail
  const count = Math.ceil(y.elements / 4);
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG },
    functions: philox,
    bind: { y },
    params: { count, key, mean, deviation },
    workgroups,
  });
}
