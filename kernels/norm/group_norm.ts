import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import source from "./group_norm.wgsl" with { type: "text" };
import combineSource from "./group_norm_combine.wgsl" with { type: "text" };
import statsSource from "./group_norm_stats.wgsl" with { type: "text" };

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
const kernel = defineKernel("group_norm", source, ["x", "moments", "bias", "y"], [
  "area",
  "columns",
  "count",
  "first",
]);

/** Pixels of a chunk: enough to be worth an invocation, and at most 256 chunks per image. */
function chunkPixels(area: number): number {
  return Math.max(32, Math.ceil(area / 256));
}

const ACTIVATIONS = { none: "return v;", silu: "return v / (1 + exp(-v));" } as const;

/** All prelude lines of group_norm.wgsl. */
const prelude = memoised((divide: string, activation: keyof typeof ACTIVATIONS): string =>
  `${divide}\nfn activation(v: vec4<f32>) -> vec4<f32> { ${ACTIVATIONS[activation]} }`
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
  const { x, weight, groups, eps } = args;
  const [B = 0] = x.shape;
  const C = x.shape.at(-1) ?? 0;
  if (C % 4 !== 0 || C % groups !== 0 || weight.elements !== C) {
    throw new KernelError(
      "bad-shape",
      `Cannot take moments of [${x.shape}] in ${groups} groups with [${weight.shape}]`,
    );
  }
  const area = x.elements / B / C;
  const columns = C / 4;
  const chunk = chunkPixels(area);
  const chunks = Math.ceil(area / chunk);
  const partials = device.tensor("f32", [B, chunks, 2, C], "norm statistics");
  const moments = device.tensor("f32", [B, 2, C], "norm moments");
  device.run(statsKernel, {
    specialise: { X: `vec4<${x.dtype}>` },
    bind: { x, partials },
    params: { area, columns, chunk, chunks, count: B * chunks * columns },
    workgroups: grid(Math.ceil(B * chunks * columns / 64)),
  });
  const WG = device.capabilities.class === "cpu" ? 8 : 32; // there are few invocations: spread them over the cores
  device.run(combineKernel, {
    specialise: { WG },
    bind: { partials, weight, moments },
    params: { area, C, groups, chunk, chunks, count: B * groups, eps },
    workgroups: [Math.ceil(B * groups / WG)],
  });
  partials.dispose();
  return moments;
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
  device.run(kernel, {
    specialise: { X: `vec4<${x.dtype}>`, Y: `vec4<${y.dtype}>` },
    functions: prelude(divideLines(device, x.elements / 4), activation),
    bind: { x, moments, bias, y },
    params: { area, columns, count, first },
    workgroups: grid(Math.ceil(count / 64)),
  });
}
