import type { Device, Tensor, TensorData, Tuning } from "../../engine/mod.ts";
import { device } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import type { Rounding } from "./limits.ts";

/** An output of a case, and what it must be. */
export interface Output {
  readonly tensor: Tensor;
  /**
   * NaN where the output must be NaN, as poisoned memory is that nothing may write to; infinite numbers must be met.
   */
  readonly expected: ArrayLike<number>;
  /** Whether no bit may differ, whatever the limit: what saturates does so to one number. */
  readonly exact?: boolean;
  /** Exact numbers below it may be zeros: adapters may lose subnormal numbers where they convert. 0 if absent. */
  readonly flushed?: number;
  /** In place of a comparison with `expected`: what is wrong, or null. */
  readonly check?: (read: TensorData) => string | null;
}

/** A launch that was recorded. */
export interface Case {
  /** Shapes and options, for a reader. */
  readonly shape: string;
  readonly outputs: readonly Output[];
  /** What is disposed after it, besides tensors. */
  readonly owned?: readonly Disposable[];
}

/** A kernel in one variant, with operands of one kind. */
export interface Op {
  /** Name of the launcher's file. */
  readonly kernel: string;
  /** Variant; "plain" if there is one only. */
  readonly variant: string;
  /** Types of the operands that matter. */
  readonly dtype: string;
  readonly rounding: Rounding;
  /** Kernels, by name, that its cases dispatch one or all of. */
  readonly runs: readonly string[];
  /** Choices of kernels/shared/variants.ts that it makes; {@link Device.tuning} then forces them. */
  readonly choices?: Readonly<Record<string, string>>;
  /** Why it cannot run on the device; null if it can. */
  readonly obstacle: string | null;
  /** Makes operands, launches, and computes the reference. */
  readonly make: (draw: Draw) => Case;
  /** Cases that always run: what random numbers do not hit. */
  readonly special?: Readonly<Record<string, (draw: Draw) => Case>>;
}

/** Makes the choices of an op on a device, until the result is disposed. */
export function forced(device: Device, { choices = {} }: Op): Disposable {
  const before = device.tuning;
  const entries = Object.entries(choices);
  device.tuning = Object.fromEntries(
    entries.map(([choice, variant]) => [choice, [[0, variant]]]),
  ) as Tuning;
  return {
    [Symbol.dispose]() {
      device.tuning = before;
    },
  };
}

/** Types of numbers. */
export type Float = "f32" | "f16";

/** All of them. */
export const FLOATS: readonly Float[] = ["f32", "f16"];

/** Ops from each type to each. */
export function conversions(by: (from: Float, to: Float) => Op): Op[] {
  return FLOATS.flatMap((from) => FLOATS.map((to) => by(from, to)));
}

/** An op with one variant, which runs everywhere. */
export function plain(
  kernel: string,
  dtype: string,
  rounding: Rounding,
  make: (draw: Draw) => Case,
): Op {
  const lacks = dtype.includes("f16") && !device.capabilities.f16;
  const obstacle = lacks ? "no f16" : null;
  return { kernel, variant: "plain", dtype, rounding, runs: [kernel], obstacle, make };
}
