import type { Device } from "../../engine/mod.ts";
import source from "./divide.wgsl" with { type: "text" };

/** What divide.wgsl can divide: f32 holds it exactly. */
const MOST = 2 ** 24;

/** `fn divide(a, b)` for `a` up to `most`: divide.wgsl on CPUs, elsewhere and for larger ones the real division. */
export function divideLines({ capabilities }: Device, most: number): string {
  return capabilities.class === "cpu" && most < MOST
    ? source
    : "fn divide(a: u32, b: u32) -> u32 { return a / b; }";
}
