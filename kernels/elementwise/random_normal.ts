import { defineKernel, type Device, memoised, type Tensor } from "../../engine/mod.ts";
import { accessY } from "../shared/access.ts";
import philox from "../shared/philox.wgsl" with { type: "text" };
import { spread } from "../shared/spread.ts";
import source from "./random_normal.wgsl" with { type: "text" };

const kernel = defineKernel("random_normal", source, ["y"], [
  "count",
  "N",
  "key",
  "mean",
  "deviation",
]);

const prelude = memoised((access: string): string => `${philox}\n${access}`);

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
  const N = y.elements;
  const count = Math.ceil(N / 4);
  const access = accessY("f32", N % 4 === 0); // a view may end within a vec4
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, Y: access.type },
    functions: prelude(access.lines),
    bind: { y },
    params: { count, N, key, mean, deviation },
    workgroups,
  });
}
