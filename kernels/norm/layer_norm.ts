import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { INVOCATION } from "../shared/invocation.ts";
import { narrowLines } from "../shared/narrow.ts";
import source from "./layer_norm.wgsl" with { type: "text" };

const kernel = defineKernel("layer_norm", source, ["x", "weight", "bias", "modulation", "y"], [
  "M",
  "C",
  "width",
  "eps",
  "rows",
  "stride",
  "scale_offset",
  "shift_offset",
]);

/** AdaLN's scale and shift of each image. Offsets and strides count elements. */
export interface Modulation {
  /** f32, of any shape. */
  readonly tensor: Tensor;
  /** Start of the first image's scale [C]. */
  readonly scaleOffset: number;
  /** Start of the first image's shift [C]. */
  readonly shiftOffset: number;
  /** From one image to the next. */
  readonly stride: number;
  /** Rows of x per image. */
  readonly rows: number;
}

/** Arguments of {@link layerNorm}. */
export interface LayerNormArgs {
  /** [M, C] f32 or f16 (M may be several axes). */
  readonly x: Tensor;
  /** [M, C] f32 or f16, not x. */
  readonly y: Tensor;
  /** Added to the variance. */
  readonly eps: number;
  /** Computes RMSNorm, which does not subtract the mean; false if absent. */
  readonly rms?: boolean;
  /** [C] f32; ones if absent. */
  readonly weight?: Tensor;
  /** [C] f32; zeros if absent. */
  readonly bias?: Tensor;
  /** None if absent. */
  readonly modulation?: Modulation;
  /** How a workgroup sums; chosen by the adapter if absent. Tests set it. */
  readonly variant?: LayerNormVariant;
}

/**
 * `subgroup`: a workgroup is one subgroup of a fixed size. `subgroups`: it is several. `workgroup`: runs on any
 * adapter.
 */
export type LayerNormVariant = "subgroup" | "subgroups" | "workgroup";

/** Invocations of a workgroup of several subgroups, or without them, by class: as fast as memory on an H200. */
const WORKGROUP = { cpu: 64, gpu: 128 } as const;

/** Sums over a workgroup of any size, in a fixed tree. Turns alternate between two places: none waits for another. */
const TOTAL_BY_TREE = `${INVOCATION.plain}
var<workgroup> partial: array<array<f32, WG>, 2>;
fn total(lane: u32, mine: f32, turn: u32) -> f32 {
  partial[turn % 2][lane] = mine;
  for (var half = WG / 2u; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { partial[turn % 2][lane] += partial[turn % 2][lane + half]; }
  }
  workgroupBarrier();
  return partial[turn % 2][0];
}`;

/** Sums over a workgroup of subgroups of `lanes`: within each by shuffles, then over them, in a fixed tree. */
function totalOfSubgroups(lanes: number): string {
  const each = (count: number, text: (i: number) => string, separator: string) =>
    Array.from({ length: count }, (_, i) => text(i)).join(separator);
  const parts = WORKGROUP.gpu / lanes;
  return `${INVOCATION.subgroups}
var<workgroup> partial: array<array<f32, ${Math.ceil(parts / 4) * 4}>, 2>;
fn total(lane: u32, mine: f32, turn: u32) -> f32 {
  var sum = mine;
  ${each(Math.log2(lanes), (i) => `sum += subgroupShuffleXor(sum, ${1 << i}u);`, "\n  ")}
  if (lane % ${lanes} == 0) { partial[turn % 2][lane / ${lanes}] = sum; }
  workgroupBarrier();
  return ${treeOf(Array.from({ length: parts }, (_, i) => `partial[turn % 2][${i}]`))};
}`;
}

/** Adds up a power of two of terms; few lanes have many, whose errors would add up, too. */
function treeOf(terms: string[]): string {
  if (terms.length < 2) return terms.join();
  const half = terms.length / 2;
  return `(${treeOf(terms.slice(0, half))} + ${treeOf(terms.slice(half))})`;
}

/** Sums over a workgroup that is one subgroup: faster where barriers are slow, as on lavapipe. */
function totalByShuffles(lanes: number): string {
  const terms = Array.from({ length: lanes }, (_, lane) => `subgroupShuffle(mine, ${lane}u)`);
  return `${INVOCATION.plain}
fn total(lane: u32, mine: f32, turn: u32) -> f32 { return ${terms.join(" + ")}; }`;
}

/** WGSL for an invocation that holds `held` elements. */
function holding(held: number): string {
  const each = (line: (i: number) => string, separator = " ") =>
    Array.from({ length: held }, (_, i) => line(i)).join(separator);
  const at = (i: number) => `c + ${i} * WG`;
  return `
struct Held { ${each((i) => `v${i}: V,`)} }
fn load_held(row: Row, c: u32) -> Held { return Held(${each((i) => `load(row, ${at(i)})`, ", ")}); }
fn sum_held(held: Held) -> V { return ${each((i) => `held.v${i}`, " + ")}; }
fn squares_held(row: Row, c: u32, held: Held) -> V { return ${
    each((i) => `square(row, ${at(i)}, held.v${i})`, " + ")
  }; }
fn store_held(row: Row, c: u32, held: Held) { ${each((i) => `store(row, ${at(i)}, held.v${i});`)} }
`;
}

const ACROSS = {
  vec4: "fn across(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }",
  scalar: "fn across(v: f32) -> f32 { return v; }",
} as const;

/** All prelude lines. */
const prelude = memoised((
  vec4: boolean,
  held: number,
  variant: LayerNormVariant,
  lanes: number,
  yType: string,
): string => {
  const total = {
    subgroup: totalByShuffles,
    subgroups: totalOfSubgroups,
    workgroup: () => TOTAL_BY_TREE,
  };
  const narrow = narrowLines(yType, "V", "Y");
  return [ACROSS[vec4 ? "vec4" : "scalar"], narrow, holding(held), total[variant](lanes)].join(
    "\n",
  );
});

/** Chooses how a workgroup sums. */
function variantFor({ capabilities, debug }: Device): LayerNormVariant {
  const { subgroups, subgroupSize: lanes, class: adapter } = capabilities;
  const usable = subgroups && lanes > 0 && WORKGROUP.gpu % lanes === 0;
  const variant = !usable ? "workgroup" : adapter === "cpu" ? "subgroup" : "subgroups";
  debug?.variant("layer_norm", variant, usable ? `class ${adapter}` : "runs anywhere");
  return variant;
}

/**
 * y = (norm(x) · weight + bias) · (1 + scale) + shift: LayerNorm (`torch.nn.LayerNorm`), T5's RMSNorm, and the AdaLN of
 * infinity/models/basic.py. Statistics are f32.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function layerNorm(device: Device, args: LayerNormArgs): void {
  const { x, y, eps, rms = false, weight, bias, modulation } = args;
  const C = x.shape.at(-1) ?? 0;
  const M = x.elements / C;
  const images = modulation ? Math.ceil(M / modulation.rows) : 0;
  const { scaleOffset = 0, shiftOffset = 0, stride = 0 } = modulation ?? {};
  const needed = (images - 1) * stride + Math.max(scaleOffset, shiftOffset) + C;
  if (
    y.elements !== x.elements || (weight && weight.elements !== C) ||
    (bias && bias.elements !== C) || (modulation && modulation.tensor.elements < needed)
  ) {
    const given = [y, weight, bias, modulation?.tensor].map((t) => `[${t?.shape ?? "none"}]`);
    throw new KernelError(
      "bad-shape",
      `Cannot normalise [${x.shape}] into ${given[0]} with weight ${given[1]}, bias ${given[2]}, ` +
        `modulation ${given[3]} of ${images} images`,
    );
  }
  const vec4 = [C, scaleOffset, shiftOffset, stride].every((n) => n % 4 === 0);
  const per = vec4 ? 4 : 1;
  const type = (scalar: string) => vec4 ? `vec4<${scalar}>` : scalar;
  const { subgroupSize, class: adapter } = device.capabilities;
  const variant = args.variant ?? variantFor(device);
  const WG = variant === "subgroup"
    ? subgroupSize
    : WORKGROUP[variant === "subgroups" ? "gpu" : adapter];
  // the fewest vec4s that hold a row: registers are what limits the rows in flight
  const HELD = adapter === "gpu" && C / per <= 4 * WG ? 4 : 8;
  device.run(kernel, {
    specialise: {
      X: type(x.dtype),
      Y: type(y.dtype),
      V: type("f32"),
      PER: per,
      WG,
      HELD,
      ONCE: C / per <= HELD * WG,
      FULL: C / per === HELD * WG,
      RMS: rms,
      WEIGHT: weight !== undefined,
      BIAS: bias !== undefined,
      MODULATION: modulation !== undefined,
    },
    functions: prelude(vec4, HELD, variant, subgroupSize, y.dtype),
    bind: {
      x,
      weight: weight ?? null,
      bias: bias ?? null,
      modulation: modulation?.tensor ?? null,
      y,
    },
    params: {
      M,
      C: C / per,
      width: C,
      eps,
      rows: modulation?.rows ?? 1,
      stride: stride / per,
      scale_offset: scaleOffset / per,
      shift_offset: shiftOffset / per,
    },
    workgroups: grid(M),
  });
}
