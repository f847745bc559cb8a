import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import { slopeLines } from "../shared/activations.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import source from "./group_norm_backward.wgsl" with { type: "text" };
import sharesSource from "./group_norm_backward_shares.wgsl" with { type: "text" };
import sumsSource from "./group_norm_backward_sums.wgsl" with { type: "text" };
import type { NormActivation } from "./group_norm.ts";

const sumsKernel = defineKernel(
  "group_norm_backward_sums",
  sumsSource,
  ["x", "dy", "moments", "bias", "sums", "products"],
  ["area", "columns", "chunk", "chunks", "count"],
);
const sharesKernel = defineKernel(
  "group_norm_backward_shares",
  sharesSource,
  ["sums", "products", "moments", "weight", "shares"],
  ["area", "C", "width", "count"],
);
const kernel = defineKernel(
  "group_norm_backward",
  source,
  ["x", "dy", "moments", "bias", "shares", "dx"],
  ["area", "columns", "chunk", "chunks", "count"],
);

/** Least pixels of a chunk that one invocation sums. */
const LEAST_PIXELS = 32;

/** Pixels that one invocation sends back: enough to be worth what it reads of the channels. */
const PIXELS = 16;

const slope = memoised((activation: NormActivation): string =>
  activation === "none" ? "fn slope(v: V) -> V { return V(1); }" : slopeLines(activation)
);

const prelude = memoised((activation: NormActivation, dtype: string): string =>
  `${slope(activation)}\n${gradientLines(dtype)}`
);

/** How the pixels of each image are shared out. */
interface Chunks {
  /** Pixels of an image. */
  readonly area: number;
  /** Pixels of a chunk; the last may be shorter. */
  readonly chunk: number;
  /** Chunks of an image. */
  readonly chunks: number;
}

function chunksOf(area: number, chunk: number): Chunks {
  return { area, chunk, chunks: Math.ceil(area / chunk) };
}

/** Arguments of {@link groupNormBackward}. */
export interface GroupNormBackwardArgs {
  /** What `groupNorm` was given, [B, …, C] f32 or f16 with channels last. */
  readonly x: Tensor;
  /** Gradient of its output, f32 or f16. */
  readonly dy: Tensor;
  /** Statistics of x, [B, 3, C] f32, from `groupNormMoments` with the same weight. */
  readonly moments: Tensor;
  /** [C] f32. */
  readonly weight: Tensor;
  /** [C] f32. */
  readonly bias: Tensor;
  /** Number of groups of channels. */
  readonly groups: number;
  /** What was applied after normalising; `none` if absent. */
  readonly activation?: NormActivation;
  /** Gradient of x, f32 or f16; not wanted if null. */
  readonly dx: Gradient | null;
  /** Gradient of the weight, [C] f32; not wanted if null. */
  readonly dweight: Gradient | null;
  /** Gradient of the bias, [C] f32; not wanted if null. */
  readonly dbias: Gradient | null;
}

/**
 * The gradients of `groupNorm`, with its activation, by x, weight and bias. Sums are f32, in a fixed order.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function groupNormBackward(device: Device, args: GroupNormBackwardArgs): void {
  const { x, dx, dweight, dbias } = args;
  checkShapes(args);
  if (!dx && !dweight && !dbias) return;
  const [B = 0] = x.shape;
  const C = x.shape.at(-1) ?? 0;
  using sums = device.tensor("f32", [B, C], "sums over pixels");
  using products = device.tensor("f32", [B, C], "sums over pixels");
  sumPixels(device, args, sums, products);
  if (dbias) columnSums(device, { x: sums, y: dbias });
  if (dweight) columnSums(device, { x: products, y: dweight });
  if (dx) sendBack(device, args, dx, sums, products);
}

function checkShapes(args: GroupNormBackwardArgs): void {
  const { x, dy, moments, weight, bias, groups, dx, dweight, dbias } = args;
  const [B = 0] = x.shape;
  const C = x.shape.at(-1) ?? 0;
  const vectors = [weight, bias, dweight?.tensor, dbias?.tensor];
  if (
    C % 4 || C % groups || moments.elements !== B * 3 * C || dy.elements !== x.elements ||
    (dx && dx.tensor.elements !== x.elements) ||
    vectors.some((vector) => vector && vector.elements !== C)
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot send [${dy.shape}] back through the norm of [${x.shape}] in ${groups} groups with ` +
        `[${weight.shape}] and moments [${moments.shape}] to [${dx?.tensor.shape ?? "none"}]`,
    );
  }
}

/** Sums over the pixels of each image, [B, C]: of the gradient before the activation, and of its products. */
function sumPixels(
  device: Device,
  { x, dy, moments, bias, activation = "none" }: GroupNormBackwardArgs,
  sums: Tensor,
  products: Tensor,
): void {
  const [B = 0, C = 0] = sums.shape;
  const columns = C / 4;
  const area = x.elements / B / C;
  const chunked = chunksOf(area, Math.max(LEAST_PIXELS, Math.ceil(Math.sqrt(area))));
  const parts = B * chunked.chunks;
  const count = parts * columns;
  using partSums = device.tensor("f32", [parts, C], "parts of sums");
  using partProducts = device.tensor("f32", [parts, C], "parts of sums");
  const { WG, workgroups } = spread(device, count);
  device.run(sumsKernel, {
    specialise: { WG, X: `vec4<${x.dtype}>`, DY: `vec4<${dy.dtype}>`, V: "vec4<f32>" },
    functions: slope(activation),
    bind: { x, dy, moments, bias, sums: partSums, products: partProducts },
    params: { ...chunked, columns, count },
    workgroups,
  });
  columnSums(device, { x: partSums, y: { tensor: sums, add: false }, rows: chunked.chunks });
  columnSums(device, {
    x: partProducts,
    y: { tensor: products, add: false },
    rows: chunked.chunks,
  });
}

/** Computes the gradient of x from the sums over its images. */
function sendBack(
  device: Device,
  args: GroupNormBackwardArgs,
  { tensor, add }: Gradient,
  sums: Tensor,
  products: Tensor,
): void {
  const { x, dy, moments, weight, bias, groups, activation = "none" } = args;
  const [B = 0, C = 0] = sums.shape;
  const area = x.elements / B / C;
  using shares = device.tensor("f32", [B, 2, C], "shares");
  const channels = spread(device, B * C);
  device.run(sharesKernel, {
    specialise: { WG: channels.WG },
    bind: { sums, products, moments, weight, shares },
    params: { area, C, width: C / groups, count: B * C },
    workgroups: channels.workgroups,
  });
  const chunked = chunksOf(area, PIXELS);
  const count = B * chunked.chunks * C / 4;
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: {
      WG,
      ADD: add,
      X: `vec4<${x.dtype}>`,
      DY: `vec4<${dy.dtype}>`,
      DX: `vec4<${tensor.dtype}>`,
      V: "vec4<f32>",
    },
    functions: prelude(activation, tensor.dtype),
    bind: { x, dy, moments, bias, shares, dx: tensor },
    params: { ...chunked, columns: C / 4, count },
    workgroups,
  });
}
