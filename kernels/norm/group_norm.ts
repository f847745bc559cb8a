import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import { spread } from "../shared/spread.ts";
import source from "./group_norm.wgsl" with { type: "text" };
import combineSource from "./group_norm_combine.wgsl" with { type: "text" };
import combineWorkgroupSource from "./group_norm_combine_workgroup.wgsl" with { type: "text" };
import statsSource from "./group_norm_stats.wgsl" with { type: "text" };
import statsWorkgroupSource from "./group_norm_stats_workgroup.wgsl" with { type: "text" };

const statsKernel = defineKernel("group_norm_stats", statsSource, ["x", "partials"], [
  "area",
  "columns",
  "chunk",
  "chunks",
  "count",
]);
const combineKernel = defineKernel(
  "group_norm_combine",
  combineSource,
  ["partials", "weight", "moments"],
  ["area", "C", "groups", "chunk", "chunks", "count", "eps"],
);
const statsWorkgroupKernel = defineKernel(
  "group_norm_stats_workgroup",
  statsWorkgroupSource,
  ["x", "partials"],
  ["area", "groups", "width", "chunk", "chunks", "count"],
);
const combineWorkgroupKernel = defineKernel(
  "group_norm_combine_workgroup",
  combineWorkgroupSource,
  ["partials", "weight", "moments"],
  ["area", "C", "groups", "chunk", "chunks", "eps"],
);
const kernel = defineKernel("group_norm", source, ["x", "moments", "bias", "y"], [
  "area",
  "columns",
  "count",
  "first",
]);

/** Most chunks of an image: on GPUs each is a workgroup, and 1,024 keep an H200 busy. */
const MOST_CHUNKS = { invocation: 256, workgroup: 1024 } as const;

/** Pixels of a chunk, of which there is enough work; by the image alone. */
function chunkPixels(area: number, most: number): number {
  return Math.max(32, Math.ceil(area / most));
}

/** Invocations of a workgroup that shares a chunk, and that combines chunks. */
const WORKGROUP = 256;

/**
 * How statistics are summed. `invocation`: each has a chunk of its own, without barriers, which are slow on software
 * adapters. `workgroup`: invocations share a chunk; up to 1,024 channels.
 */
export type GroupNormVariant = "invocation" | "workgroup";

const ACTIVATIONS = { none: "return v;", silu: "return v / (1 + exp(-v));" } as const;

/** WGSL of what an invocation makes. */
const APPLY = {
  1: "fn apply(i: u32) { y[i] = normalised(i, x[params.first + i]); }",
  4: `fn load(i: u32) -> X { return x[params.first + min(i, params.count - 1)]; }
fn store(i: u32, v: X) { if (i < params.count) { y[i] = normalised(i, v); } }
fn apply(invocation: u32) {
  let i = invocation + invocation / WG * (3 * WG);
  let a = load(i);
  let b = load(i + WG);
  let c = load(i + 2 * WG);
  let d = load(i + 3 * WG);
  store(i, a);
  store(i + WG, b);
  store(i + 2 * WG, c);
  store(i + 3 * WG, d);
}`,
} as const;

/** All prelude lines of group_norm.wgsl. A constant number of columns makes divisions shifts; 0 leaves it a parameter. */
const prelude = memoised((
  divide: string,
  activation: keyof typeof ACTIVATIONS,
  columns: number,
  each: keyof typeof APPLY,
): string =>
  `${divide}
fn columns() -> u32 { return ${columns ? `${columns}u` : "params.columns"}; }
fn activation(v: vec4<f32>) -> vec4<f32> { ${ACTIVATIONS[activation]} }
${APPLY[each]}`
);

/** Arguments of {@link groupNormMoments}. */
export interface GroupNormMomentsArgs {
  /** [B, …, C] f32 or f16 with channels last; C is divisible by 4 and by `groups`. */
  readonly x: Tensor;
  /** [C] f32. */
  readonly weight: Tensor;
  /** Number of groups of channels. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
  /** How statistics are summed; chosen by the adapter if absent. Tests set it. */
  readonly variant?: GroupNormVariant;
}

/** Arguments of {@link applyGroupNorm}. */
export interface ApplyGroupNormArgs {
  /** [B, …, C] f32 or f16 with channels last. */
  readonly x: Tensor;
  /** [B, 2, C] f32, from {@link groupNormMoments}. */
  readonly moments: Tensor;
  /** [C] f32. */
  readonly bias: Tensor;
  /** f32 or f16, of the shape of x; with `strip` [1, rows, …, C]. */
  readonly y: Tensor;
  /** Applied after normalising; `none` if absent. */
  readonly activation?: keyof typeof ACTIVATIONS;
  /** Normalises only some rows of one image of x: as many as y has, from row `begin` on. */
  readonly strip?: { readonly image: number; readonly begin: number };
}

/** Arguments of {@link groupNorm}. */
export type GroupNormArgs =
  & GroupNormMomentsArgs
  & Omit<ApplyGroupNormArgs, "moments" | "strip">;

/**
 * y = activation(GroupNorm(x)): `torch.nn.GroupNorm` on channels-last images, and the swish that follows it in the
 * official VAE (infinity/models/bsq_vae/flux_vqgan.py). Statistics are per image, in f32.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function groupNorm(device: Device, args: GroupNormArgs): void {
  const { x, weight, bias, y, groups } = args;
  const C = x.shape.at(-1) ?? 0;
  const fits = C % 4 === 0 && C % groups === 0 && weight.elements === C && bias.elements === C;
  if (!fits || y.shape.join() !== x.shape.join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot normalise [${x.shape}] in ${groups} groups with [${weight.shape}] into [${y.shape}]`,
    );
  }
  using moments = groupNormMoments(device, args);
  applyGroupNorm(device, { ...args, moments });
}

/**
 * The statistics of {@link groupNorm} over whole images, as a new tensor [B, 2, C]: for each channel the mean of its
 * group, and its weight divided by the group's standard deviation.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function groupNormMoments(device: Device, args: GroupNormMomentsArgs): Tensor {
  const { x, weight, groups } = args;
  const [B = 0] = x.shape;
  const C = x.shape.at(-1) ?? 0;
  if (C % 4 !== 0 || C % groups !== 0 || weight.elements !== C) {
    throw new KernelError(
      "bad-shape",
      `Cannot take moments of [${x.shape}] in ${groups} groups with [${weight.shape}]`,
    );
  }
  const area = x.elements / B / C;
  const most = WORKGROUP * 4;
  const variant = args.variant ??
    (device.capabilities.class === "gpu" && C <= most ? "workgroup" : "invocation");
  const chunk = chunkPixels(area, MOST_CHUNKS[variant]);
  const chunks = Math.ceil(area / chunk);
  const size = variant === "workgroup" ? [B, chunks, groups, 2] : [B, chunks, 2, C];
  const partials = device.tensor("f32", size, "norm statistics");
  const moments = device.tensor("f32", [B, 2, C], "norm moments");
  if (variant === "workgroup") momentsByWorkgroup(device, args, partials, moments, chunk);
  else momentsByInvocation(device, args, partials, moments, chunk);
  partials.dispose();
  return moments;
}

/** Sums chunks of {@link groupNormMoments} by one invocation each. */
function momentsByInvocation(
  device: Device,
  { x, weight, groups, eps }: GroupNormMomentsArgs,
  partials: Tensor,
  moments: Tensor,
  chunk: number,
): void {
  const [B = 0, chunks = 0, , C = 0] = partials.shape;
  const area = x.elements / B / C;
  const columns = C / 4;
  const count = B * chunks * columns;
  const { WG, workgroups } = spread(device, count);
  device.run(statsKernel, {
    specialise: { X: `vec4<${x.dtype}>`, WG },
    bind: { x, partials },
    params: { area, columns, chunk, chunks, count },
    workgroups,
  });
  const few = device.capabilities.class === "cpu" ? 8 : 32; // spreads few invocations over the cores
  device.run(combineKernel, {
    specialise: { WG: few },
    bind: { partials, weight, moments },
    params: { area, C, groups, chunk, chunks, count: B * groups, eps },
    workgroups: [Math.ceil(B * groups / few)],
  });
}

/** Sums chunks of {@link groupNormMoments} by a workgroup each. */
function momentsByWorkgroup(
  device: Device,
  { x, weight, groups, eps }: GroupNormMomentsArgs,
  partials: Tensor,
  moments: Tensor,
  chunk: number,
): void {
  const [B = 0, chunks = 0] = partials.shape;
  const C = weight.elements;
  const area = x.elements / B / C;
  const width = C / groups;
  const ENTRY = width % 4 ? 1 : 4;
  device.run(statsWorkgroupKernel, {
    specialise: {
      X: `vec4<${x.dtype}>`,
      COLUMNS: C / 4,
      LANES: Math.floor(WORKGROUP / (C / 4)),
      ENTRY,
      EACH: 4 / ENTRY,
      WG: WORKGROUP,
    },
    bind: { x, partials },
    params: { area, groups, width, chunk, chunks, count: B * chunks },
    workgroups: grid(B * chunks),
  });
  device.run(combineWorkgroupKernel, {
    specialise: { WG: WORKGROUP },
    bind: { partials, weight, moments },
    params: { area, C, groups, chunk, chunks, eps },
    workgroups: [groups, B],
  });
}

/**
 * The element-wise part of {@link groupNorm}, for all rows or for a strip of them. A strip has the same bits as the
 * rows of the whole.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree, or the strip exceeds x.
 */
export function applyGroupNorm(device: Device, args: ApplyGroupNormArgs): void {
  const { x, moments, bias, y, activation = "none", strip } = args;
  const [B = 0, H = 0, ...rest] = x.shape;
  const C = x.shape.at(-1) ?? 0;
  const area = x.elements / B / C;
  const rows = strip ? y.shape[1] ?? 0 : H;
  const { image, begin } = strip ?? { image: 0, begin: 0 };
  const shape = strip ? [1, rows, ...rest] : x.shape;
  const inside = image >= 0 && image < B && begin >= 0 && begin + rows <= H;
  const fits = C % 4 === 0 && moments.elements === B * 2 * C && bias.elements === C;
  if (!fits || !inside || y.shape.join() !== shape.join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot normalise [${x.shape}] from row ${begin} of image ${image} into [${y.shape}] ` +
        `with moments [${moments.shape}]`,
    );
  }
  const columns = C / 4;
  const first = (image * area + begin * (area / H)) * columns;
  const count = y.elements / 4;
  const gpu = device.capabilities.class === "gpu";
  const each = gpu && x.dtype === "f16" ? 4 : 1;
  const { WG, workgroups } = spread(device, count, each);
  device.run(kernel, {
    specialise: { X: `vec4<${x.dtype}>`, Y: `vec4<${y.dtype}>`, WG },
    functions: prelude(divideLines(device, x.elements / 4), activation, gpu ? columns : 0, each),
    bind: { x, moments, bias, y },
    params: { area, columns, count, first },
    workgroups,
  });
}
