import { defineKernel, type Device, grid, KernelError, type Tensor } from "../engine/mod.ts";
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
]);

/** Pixels of a chunk: at least enough to be worth an invocation, and at most 256 chunks to an image. */
function chunkPixels(area: number): number {
  return Math.max(32, Math.ceil(area / 256));
}

const ACTIVATIONS = { none: "return v;", silu: "return v / (1 + exp(-v));" } as const;

/** Arguments of {@link groupNorm}. */
export interface GroupNormArgs {
  /** [B, …, C] f32 or f16 with channels last; C is divisible by 4 and by `groups`. */
  readonly x: Tensor;
  /** [C] f32. */
  readonly weight: Tensor;
  /** [C] f32. */
  readonly bias: Tensor;
  /** Shape of x, f32 or f16. */
  readonly y: Tensor;
  /** Number of groups the channels form. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
  /** What is applied afterwards; `none` if absent. */
  readonly activation?: keyof typeof ACTIVATIONS;
}

/**
 * y = activation(GroupNorm(x)): `torch.nn.GroupNorm` on channels-last images, with the swish that follows it in the
 * official VAE (infinity/models/bsq_vae/flux_vqgan.py). Statistics are f32, per image.
 *
 * @throws {KernelError} if shapes disagree.
 */
export function groupNorm(device: Device, args: GroupNormArgs): void {
  const { x, weight, bias, y, groups, eps, activation = "none" } = args;
  const [B = 0, ...rest] = x.shape;
  const C = rest.at(-1) ?? 0;
  const area = x.elements / B / C;
  const fits = C % 4 === 0 && C % groups === 0 && weight.elements === C && bias.elements === C;
  if (!fits || y.shape.join() !== x.shape.join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot normalise [${x.shape}] in ${groups} groups with [${weight.shape}] into [${y.shape}]`,
    );
  }
  const columns = C / 4;
  const chunk = chunkPixels(area);
  const chunks = Math.ceil(area / chunk);
  const X = `vec4<${x.dtype}>`;
  const partials = device.tensor("f32", [B, chunks, 2, C], "norm statistics");
  const moments = device.tensor("f32", [B, 2, C], "norm moments");
  device.run(statsKernel, {
    specialise: { X },
    bind: { x, partials },
    params: { area, columns, chunk, chunks, count: B * chunks * columns },
    workgroups: grid(Math.ceil(B * chunks * columns / 64)),
  });
  const WG = device.capabilities.class === "cpu" ? 8 : 32; // few invocations: spread them over the cores
  device.run(combineKernel, {
    specialise: { WG },
    bind: { partials, weight, moments },
    params: { area, C, groups, chunk, chunks, count: B * groups, eps },
    workgroups: [Math.ceil(B * groups / WG)],
  });
  device.run(kernel, {
    specialise: { X, Y: `vec4<${y.dtype}>` },
    functions: `fn activation(v: vec4<f32>) -> vec4<f32> { ${ACTIVATIONS[activation]} }`,
    bind: { x, moments, bias, y },
    params: { area, columns, count: B * area * columns },
    workgroups: grid(Math.ceil(B * area * columns / 64)),
  });
  partials.dispose();
  moments.dispose();
}
