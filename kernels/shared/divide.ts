import type { Device } from "../../engine/mod.ts";
import source from "./divide.wgsl" with { type: "text" };

/** divide.wgsl divides numbers below this, which f32 represents exactly. */
const EXACT_BELOW = 2 ** 24;

/**
 * Returns WGSL `divide(a, b)` for `a` up to `most`: divide.wgsl on CPUs, the operator elsewhere and for larger
 * numbers.
 */
export function divideLines({ capabilities }: Device, most: number): string {
  return capabilities.class === "cpu" && most < EXACT_BELOW
    ? source
    : "fn divide(a: u32, b: u32) -> u32 { return a / b; }";
}
