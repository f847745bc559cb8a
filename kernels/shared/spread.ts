import { type Device, grid } from "../../engine/mod.ts";

/** Invocations of a workgroup by class of adapter: what reaches the memory's speed there, see bench/NOTES.md. */
const WORKGROUP = { cpu: 64, gpu: 256 } as const;

/** How an element-wise kernel is dispatched. */
export interface Spread {
  /** Invocations of a workgroup, a constant of the kernel. */
  readonly WG: number;
  /** Workgroups along x and y. */
  readonly workgroups: [number, number];
}

/** Spreads `count` invocations that have nothing to do with each other, of one element or of `each`. */
export function spread({ capabilities }: Device, count: number, each: number = 1): Spread {
  const WG = WORKGROUP[capabilities.class];
  return { WG, workgroups: grid(Math.ceil(count / (each * WG))) };
}
