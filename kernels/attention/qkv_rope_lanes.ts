/**
 * How invocations share a head of a row in the kernels of RoPE.
 *
 * @module
 */

import type { Device } from "../../engine/mod.ts";

/** Invocations per workgroup. Few on a CPU, so that small batches still fill all cores. */
const WORKGROUP = { cpu: 8, gpu: 256 } as const;

/** Most invocations that share a head of a row. */
const MOST_LANES = { cpu: 1, gpu: 64 } as const;

/** Invocations of a workgroup, and how many of them share a head of a row. */
export function headLanes(
  { capabilities }: Device,
  headDim: number,
): { WG: number; LANES: number } {
  const { class: adapter } = capabilities;
  const all = 2 ** Math.ceil(Math.log2(headDim / 4));
  return { WG: WORKGROUP[adapter], LANES: Math.min(all, MOST_LANES[adapter]) };
}

/** WGSL `total(sums, lane)`: vectors V added over the LANES invocations of a head, or by one alone. */
export function totalLines(together: boolean, V: string): string {
  if (!together) return `fn total(sums: ${V}, lane: u32) -> ${V} { return sums; }`;
  return `var<workgroup> parts: array<${V}, WG>;
fn total(sums: ${V}, lane: u32) -> ${V} {
  parts[lane] = sums;
  workgroupBarrier();
  var all = ${V}();
  for (var i = 0u; i < LANES; i++) { all += parts[lane / LANES * LANES + i]; }
  return all;
}`;
}
