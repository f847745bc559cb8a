/**
 * The statistics of GroupNorm.
 *
 * @module
 */

import { defineKernel, type Device, grid, KernelError, Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
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
  ["area", "groups", "width", "chunk", "chunks", "count", "first"],
);
const combineWorkgroupKernel = defineKernel(
  "group_norm_combine_workgroup",
  combineWorkgroupSource,
  ["partials", "weight", "moments"],
  ["area", "band", "C", "groups", "chunk", "chunks", "eps"],
);

/** Most chunks of an image: on GPUs each is a workgroup, and 1,024 keep an H200 busy. */
const MOST_CHUNKS = { invocation: 256, workgroup: 1024 } as const;

/** Least pixels of a chunk: enough to be worth its result. */
const LEAST_PIXELS = 32;

/** Invocations of a workgroup that shares a chunk, and that combines chunks. */
const WORKGROUP = 256;

/**
 * How statistics are summed. `invocation`: each has a chunk of its own, without barriers, which are slow on software
 * adapters. `workgroup`: invocations share a chunk; up to 1,024 channels.
 */
export type GroupNormVariant = "invocation" | "workgroup";

/** Arguments of {@link groupNormMoments}. */
export interface GroupNormMomentsArgs {
  /**
   * [B, …, C] f32 or f16 with channels last; C is divisible by 4 and by `groups`. Or one image in bands
   * [1, rows, …, C], all of the same number of rows but the last, which has no more.
   */
  readonly x: Tensor | readonly Tensor[];
  /** [C] f32. */
  readonly weight: Tensor;
  /** Number of groups of channels. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
  /** How statistics are summed; chosen by the adapter if absent. Tests set it. */
  readonly variant?: GroupNormVariant;
}

/** Images, and how their pixels are shared out. */
interface Chunks {
  /** The images, or one image in bands. */
  readonly bands: readonly Tensor[];
  /** Images. */
  readonly B: number;
  /** Pixels of an image. */
  readonly area: number;
  /** Pixels of a chunk; the last of a band may be shorter. */
  readonly chunk: number;
  /** Chunks of an image. */
  readonly chunks: number;
}

/**
 * The statistics of `groupNorm` over whole images, as a new tensor [B, 3, C]: for each channel the mean of its
 * group, its weight divided by the group's standard deviation, and 1 divided by it.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function groupNormMoments(device: Device, args: GroupNormMomentsArgs): Tensor {
  const { weight, groups } = args;
  const bands = args.x instanceof Tensor ? [args.x] : args.x;
  const C = weight.elements;
  const [{ shape: [B = 0] }] = bands as [Tensor];
  const most = 4 * WORKGROUP;
  const workgroup = device.capabilities.class === "gpu" && C <= most || bands.length > 1;
  const variant = args.variant ?? (workgroup ? "workgroup" : "invocation");
  const fits = bands.every(({ shape, elements }, i) =>
    shape.at(-1) === C && shape[0] === B && elements <= bands[0]!.elements &&
    (elements === bands[0]!.elements || i === bands.length - 1)
  );
  const possible = variant === "workgroup" ? C <= most && (B === 1 || bands.length === 1) : true;
  if (C % 4 !== 0 || C % groups !== 0 || !fits || !possible) {
    throw new KernelError(
      "bad-shape",
      `Cannot take moments of [${
        bands.map(({ shape }) => shape).join("], [")
      }] in ${groups} groups ` + `with [${weight.shape}]`,
    );
  }
  const pixels = bands.map((band) => band.elements / B / C);
  const area = pixels.reduce((sum, n) => sum + n, 0);
  const chunk = Math.max(LEAST_PIXELS, Math.ceil(area / MOST_CHUNKS[variant]));
  const chunks = pixels.reduce((sum, n) => sum + Math.ceil(n / chunk), 0);
  const moments = device.tensor("f32", [B, 3, C], "norm moments");
  const make = variant === "workgroup" ? momentsByWorkgroup : momentsByInvocation;
  make(device, args, { bands, B, area, chunk, chunks }, moments);
  return moments;
}

/** Sums chunks by one invocation each. */
function momentsByInvocation(
  device: Device,
  { weight, groups, eps }: GroupNormMomentsArgs,
  { bands: [x], B, area, chunk, chunks }: Chunks,
  moments: Tensor,
): void {
  const C = weight.elements;
  const columns = C / 4;
  const count = B * chunks * columns;
  using partials = device.tensor("f32", [B, chunks, 2, C], "norm statistics");
  const { WG, workgroups } = spread(device, count);
  device.run(statsKernel, {
    specialise: { X: `vec4<${x!.dtype}>`, WG },
    bind: { x: x!, partials },
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

/** Sums chunks by a workgroup each. */
function momentsByWorkgroup(
  device: Device,
  { weight, groups, eps }: GroupNormMomentsArgs,
  { bands, B, area, chunk, chunks }: Chunks,
  moments: Tensor,
): void {
  const C = weight.elements;
  const width = C / groups;
  const ENTRY = width % 4 ? 1 : 4;
  using partials = device.tensor("f32", [B, chunks, groups, 2], "norm statistics");
  let first = 0;
  for (const x of bands) {
    const pixels = x.elements / B / C;
    const own = Math.ceil(pixels / chunk);
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
      params: { area: pixels, groups, width, chunk, chunks: own, count: B * own, first },
      workgroups: grid(B * own),
    });
    first += own;
  }
  const band = bands[0]!.elements / B / C;
  device.run(combineWorkgroupKernel, {
    specialise: { WG: WORKGROUP },
    bind: { partials, weight, moments },
    params: { area, band, C, groups, chunk, chunks, eps },
    workgroups: [groups, B],
  });
}
