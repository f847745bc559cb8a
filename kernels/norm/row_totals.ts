/**
 * How a workgroup adds up a row.
 *
 * @module
 */

import type { Device } from "../../engine/mod.ts";
import { INVOCATION } from "../shared/invocation.ts";
import { range, repeat } from "../shared/unroll.ts";

/**
 * `subgroup`: a workgroup is one subgroup of a fixed size. `subgroups`: it is several. `workgroup`: runs on any
 * adapter.
 */
export type LayerNormVariant = "subgroup" | "subgroups" | "workgroup";

/** Invocations of a workgroup of several subgroups, or without them, by class: as fast as memory on an H200. */
const WORKGROUP = { cpu: 64, gpu: 128 } as const;

/** Sums over a workgroup of any size, in a fixed tree. Turns alternate between two places: none waits for another. */
function totalByTree(T: string, name: string): string {
  return `var<workgroup> ${name}_parts: array<array<${T}, WG>, 2>;
fn ${name}(lane: u32, mine: ${T}, turn: u32) -> ${T} {
  ${name}_parts[turn % 2][lane] = mine;
  for (var half = WG / 2u; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { ${name}_parts[turn % 2][lane] += ${name}_parts[turn % 2][lane + half]; }
  }
  workgroupBarrier();
  return ${name}_parts[turn % 2][0];
}`;
}

/** Sums over a workgroup of subgroups of `lanes`: within each by shuffles, then over them, in a fixed tree. */
function totalOfSubgroups(T: string, name: string, lanes: number): string {
  const parts = WORKGROUP.gpu / lanes;
  const place = `${name}_parts[turn % 2]`;
  return `var<workgroup> ${name}_parts: array<array<${T}, ${Math.ceil(parts / 4) * 4}>, 2>;
fn ${name}(lane: u32, mine: ${T}, turn: u32) -> ${T} {
  var sum = mine;
  ${repeat(Math.log2(lanes), (i) => `sum += subgroupShuffleXor(sum, ${1 << i}u);`, "\n  ")}
  if (lane % ${lanes} == 0) { ${place}[lane / ${lanes}] = sum; }
  workgroupBarrier();
  return ${treeOf(range(parts).map((i) => `${place}[${i}]`))};
}`;
}

/** Adds up a power of two of terms; few lanes have many, whose errors would add up, too. */
function treeOf(terms: string[]): string {
  if (terms.length < 2) return terms.join();
  const half = terms.length / 2;
  return `(${treeOf(terms.slice(0, half))} + ${treeOf(terms.slice(half))})`;
}

/** Sums over a workgroup that is one subgroup: faster where barriers are slow, as on lavapipe. */
function totalByShuffles(T: string, name: string, lanes: number): string {
  const terms = range(lanes).map((lane) => `subgroupShuffle(mine, ${lane}u)`);
  return `fn ${name}(lane: u32, mine: ${T}, turn: u32) -> ${T} { return ${terms.join(" + ")}; }`;
}

const TOTALS = {
  subgroup: totalByShuffles,
  subgroups: totalOfSubgroups,
  workgroup: totalByTree,
} as const;

/**
 * WGSL of invocation.ts, and `total(lane, f32, turn)` for a variant with subgroups of `lanes`: the sum over a workgroup
 * of WG, where a turn is not that of the call before. `pairs` adds `total_pair`, which sums vec2<f32>.
 */
export function totalLines(variant: LayerNormVariant, lanes: number, pairs = false): string {
  return [
    variant === "subgroups" ? INVOCATION.subgroups : INVOCATION.plain,
    TOTALS[variant]("f32", "total", lanes),
    ...pairs ? [TOTALS[variant]("vec2<f32>", "total_pair", lanes)] : [],
  ].join("\n");
}

/** WGSL `across(V)`: the sum of the elements of V, a vec4 or a scalar of f32. */
export function acrossLines(vec4: boolean): string {
  return vec4
    ? "fn across(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }"
    : "fn across(v: f32) -> f32 { return v; }";
}

/** Chooses how a workgroup sums for a kernel. */
export function rowVariantFor({ capabilities, debug }: Device, kernel: string): LayerNormVariant {
  const { subgroups, subgroupSize: lanes, class: adapter } = capabilities;
  const usable = subgroups && lanes > 0 && WORKGROUP.gpu % lanes === 0;
  const variant = !usable ? "workgroup" : adapter === "cpu" ? "subgroup" : "subgroups";
  debug?.variant(kernel, variant, usable ? `class ${adapter}` : "runs anywhere");
  return variant;
}

/** How a workgroup holds a row; constants of the kernel. */
export interface RowShape {
  /** Invocations of a workgroup. */
  readonly WG: number;
  /** Vs that an invocation holds. */
  readonly HELD: number;
  /** Whether a workgroup holds a row. */
  readonly ONCE: boolean;
  /** Whether each invocation then holds as many as it can. */
  readonly FULL: boolean;
}

/** Chooses how a workgroup holds a row of `width` Vs. */
export function rowShape(
  { capabilities }: Device,
  variant: LayerNormVariant,
  width: number,
): RowShape {
  const { subgroupSize, class: adapter } = capabilities;
  const WG = variant === "subgroup"
    ? subgroupSize
    : WORKGROUP[variant === "subgroups" ? "gpu" : adapter];
  // the fewest Vs that hold a row: registers are what limits the rows in flight
  const HELD = adapter === "gpu" && width <= 4 * WG ? 4 : 8;
  return { WG, HELD, ONCE: width <= HELD * WG, FULL: width === HELD * WG };
}
