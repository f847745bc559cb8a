import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { activationLines } from "../shared/activations.ts";
import { divideLines } from "../shared/divide.ts";
import { groupNormMoments, type GroupNormMomentsArgs } from "./group_norm_moments.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import source from "./group_norm.wgsl" with { type: "text" };

const kernel = defineKernel("group_norm", source, ["x", "moments", "bias", "y"], [
  "area",
  "columns",
  "count",
  "first",
  "to",
]);

/** What follows a norm. */
export type NormActivation = "none" | "silu";

/** WGSL of what an invocation makes. */
const APPLY = {
  1: "fn apply(i: u32) { y[params.to + i] = normalised(i, x[params.first + i]); }",
  4: `fn load(i: u32) -> X { return x[params.first + min(i, params.count - 1)]; }
fn store(i: u32, v: X) { if (i < params.count) { y[params.to + i] = normalised(i, v); } }
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

/** All prelude lines of group_norm.wgsl. Divisions by a constant number of columns are shifts; 0: it is a parameter. */
const prelude = memoised((
  divide: string,
  activation: NormActivation,
  columns: number,
  each: keyof typeof APPLY,
  yType: string,
): string =>
  `${divide}
${narrowLines(yType)}
fn columns() -> u32 { return ${columns ? `${columns}u` : "params.columns"}; }
alias V = vec4<f32>;
${activation === "none" ? "fn activation(v: V) -> V { return v; }" : activationLines(activation)}
${APPLY[each]}`
);

/** Arguments of {@link applyGroupNorm}. */
export interface ApplyGroupNormArgs {
  /** [B, …, C] f32 or f16 with channels last. */
  readonly x: Tensor;
  /** [B, 3, C] f32, from {@link groupNormMoments}. */
  readonly moments: Tensor;
  /** [C] f32. */
  readonly bias: Tensor;
  /** f32 or f16, of the shape of x; with `strip` [1, rows, …, C]. */
  readonly y: Tensor;
  /** Applied after normalising; `none` if absent. */
  readonly activation?: NormActivation;
  /** Normalises only some rows of one image of x. */
  readonly strip?: NormStrip;
}

/** Rows of x to normalise, and where in y they go. */
export interface NormStrip {
  /** Image of x. */
  readonly image: number;
  /** First row of x. */
  readonly begin: number;
  /** Number of rows; as many as y has if absent. */
  readonly rows?: number;
  /** First row of y; 0 if absent. */
  readonly to?: number;
}

/** Arguments of {@link groupNorm}. */
export type GroupNormArgs =
  & Omit<GroupNormMomentsArgs, "x">
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
  const { image = 0, begin = 0, rows = y.shape[1] ?? 0, to = 0 } = strip ?? {};
  const shape = strip ? [1, y.shape[1] ?? 0, ...rest] : x.shape;
  const inside = image >= 0 && image < B && begin >= 0 && begin + rows <= H && to >= 0 &&
    to + rows <= (y.shape[1] ?? 0);
  const fits = C % 4 === 0 && moments.elements === B * 3 * C && bias.elements === C;
  if (!fits || !inside || y.shape.join() !== shape.join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot normalise [${x.shape}] from row ${begin} of image ${image} into [${y.shape}] ` +
        `with moments [${moments.shape}]`,
    );
  }
  const columns = C / 4;
  const row = area / H * columns;
  const first = (image * H + begin) * row;
  const count = strip ? rows * row : y.elements / 4;
  const gpu = device.capabilities.class === "gpu";
  const each = gpu && x.dtype === "f16" ? 4 : 1;
  const { WG, workgroups } = spread(device, count, each);
  device.run(kernel, {
    specialise: { X: `vec4<${x.dtype}>`, Y: `vec4<${y.dtype}>`, WG },
    functions: prelude(
      divideLines(device, x.elements / 4),
      activation,
      gpu ? columns : 0,
      each,
      y.dtype,
    ),
    bind: { x, moments, bias, y },
    params: { area, columns, count, first, to: to * row },
    workgroups,
  });
}
