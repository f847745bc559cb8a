import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { variantOf } from "../shared/variants.ts";
import type {
  AttentionBackwardArgs,
  AttentionBackwardVariant,
} from "./attention_backward_launch.ts";
import {
  attentionBackwardSubgroup,
  fitsSubgroups,
  hasSubgroups,
  stageOperands,
} from "./attention_backward_subgroup.ts";
import { attentionBackwardMatrix, backwardMatrices } from "./attention_backward_matrix.ts";
import { attentionBackwardTiles } from "./attention_backward_tiles.ts";
import { biasesOf, tableBackward } from "./attention_backward_bias.ts";
import sumSource from "./attention_backward_sum.wgsl" with { type: "text" };
import { attentionLayout } from "./attention_launch.ts";
import type { SpanSide } from "./attention_spans.ts";

export type {
  AttentionBackwardArgs,
  AttentionBackwardVariant,
} from "./attention_backward_launch.ts";

const sumKernel = defineKernel("attention_backward_sum", sumSource, ["sums", "runs", "y"], [
  "rows",
  "width",
  "column",
  "columns",
  "parts",
  "y_stride",
  "y_offset",
]);

const LAUNCHERS: Readonly<Record<AttentionBackwardVariant, typeof attentionBackwardTiles>> = {
  tiles: attentionBackwardTiles,
  subgroup: attentionBackwardSubgroup,
  matrix: attentionBackwardMatrix,
};

/** Queries that a part of the sums of keys has at least. */
const PART = 256;

/** Workgroups from which on the sums of keys are not made in parts. */
const ENOUGH = { cpu: 16, gpu: 512 } as const;

/** Bytes that parts take at most. */
const MOST_BYTES = 128 << 20;

/**
 * The gradients of {@link attention} by q, k, v and the bias's table. Weights are computed again from q and k, a step of
 * rows at a time. Gradients of rows outside all spans keep their values.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree, something is not divisible by 4, or there is a bias and the
 * layout is not {@link SpanLayout.whole}; `no-matrices`: the variant is `matrix`, and the adapter has none for it.
 */
export function attentionBackward(device: Device, args: AttentionBackwardArgs): void {
  check(args);
  const variant = args.variant ?? chooseVariant(device, args);
  const makeSums = LAUNCHERS[variant];
  using staged = variant === "subgroup" ? stageOperands(device, args) : null;
  const operands = staged ?? args;
  const { layout, heads, headDim, dq, dk, dv, dTable, bias } = args;
  const C = heads * headDim;
  const { qStride, qOffset, kStride, kOffset, vStride, vOffset } = attentionLayout(args);
  using biases = bias ? biasesOf(device, bias, heads) : null;
  using stats = device.tensor("f32", [layout.byQueries.rows, heads, 2], "statistics");
  const made = { ...args, operands, biases, stats };
  {
    const { byQueries: side } = layout;
    const direct = dq && written(dq) && qStride === C && qOffset === 0;
    using sums = direct ? null : device.tensor("f32", [1, side.rows, C], "sums of queries");
    makeSums(device, { ...made, keys: false, sums: sums ?? dq!.tensor, parts: 1 });
    if (dq && sums) {
      sumParts(device, sums, side, dq, { count: C, stride: qStride, offset: qOffset });
    }
  }
  if (bias && biases && dTable) {
    tableBackward(device, args, { bias, biases, stats, gradient: dTable });
  }
  if (dk || dv || args.dkv) {
    const { byKeys: side } = layout;
    const parts = partsOf(device, side, heads, C);
    const packed = dk && dv && dk.tensor === dv.tensor && written(dk) && written(dv) &&
      kStride === 2 * C && vStride === 2 * C && kOffset === 0 && vOffset === C;
    const dkv = args.dkv ?? (packed ? dk.tensor : null);
    const direct = parts === 1 ? dkv : null;
    using sums = direct ? null : device.tensor("f32", [parts, side.rows, 2 * C], "sums of keys");
    makeSums(device, { ...made, keys: true, sums: sums ?? direct!, parts });
    if (!sums) return;
    const put = (gradient: Gradient, place: Place) => sumParts(device, sums, side, gradient, place);
    if (dkv) return put({ tensor: dkv, add: false }, { count: 2 * C, stride: 2 * C, offset: 0 });
    if (dk) put(dk, { count: C, stride: kStride, offset: kOffset });
    if (dv) put(dv, { first: C, count: C, stride: vStride, offset: vOffset });
  }
}

/** Whether a gradient can take sums as they are, if its rows are those of sums. */
function written({ tensor, add }: Gradient): boolean {
  return !add && tensor.dtype === "f32";
}

/** The fastest variant here. */
function chooseVariant(device: Device, args: AttentionBackwardArgs): AttentionBackwardVariant {
  const take = (variant: AttentionBackwardVariant, reason: string) => {
    device.debug?.variant("attention_backward", variant, reason);
    return variant;
  };
  // f32 must stay exact, and tensor cores would round it
  const exact = [args.q, args.k, args.v, args.dy].some(({ dtype }) => dtype !== "f16");
  if (!exact && device.capabilities.class === "gpu" && backwardMatrices(device, args.headDim)) {
    return variantOf(device, "attention backward", args.layout.byQueries.own);
  }
  if (hasSubgroups(device) && fitsSubgroups(device, args)) {
    return take("subgroup", "by the adapter");
  }
  return take("tiles", "runs on any adapter");
}

function check(args: AttentionBackwardArgs): void {
  const { q, k, v, dy, dq, dk, dv, dkv, dTable, layout, heads, headDim, bias } = args;
  const places = attentionLayout(args);
  const { qStride, qOffset, kStride, kOffset, vStride, vOffset } = places;
  const C = heads * headDim;
  const holds = ({ elements }: Tensor, { rows }: SpanSide, stride: number, offset: number) =>
    rows === 0 || (rows - 1) * stride + offset + C <= elements;
  const like = (gradient: Gradient | null, { elements }: Tensor) =>
    !gradient || gradient.tensor.elements === elements;
  const { byQueries, byKeys } = layout;
  const fits = headDim <= 256 && [headDim, ...Object.values(places)].every((n) => n % 4 === 0) &&
    holds(q, byQueries, qStride, qOffset) && holds(dy, byQueries, C, 0) &&
    holds(k, byKeys, kStride, kOffset) && holds(v, byKeys, vStride, vOffset) &&
    like(dq, q) && like(dk, k) && like(dv, v) &&
    (!dkv || dkv.dtype === "f32" && dkv.elements === 2 * C * byKeys.rows);
  if (!fits) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend backwards from dy [${dy.shape}] to q [${q.shape}], k [${k.shape}], v [${v.shape}]: ` +
        `${heads} heads of ${headDim}, ${byQueries.rows} queries, ${byKeys.rows} keys`,
    );
  }
  if (
    bias && !(layout.whole && bias.table.shape[1] === heads && like(dTable ?? null, bias.table))
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend backwards with a bias [${bias.table.shape}] of ${heads} heads` +
        `${layout.whole ? "" : ": a span of keys is not whole"}`,
    );
  }
}

/** In how many parts keys take their queries: where keys are few, all processors have to share the queries. */
function partsOf(device: Device, side: SpanSide, heads: number, C: number): number {
  const workgroups = Math.ceil(side.own / 64) * heads * side.spans.shape[0]!;
  return Math.max(
    1,
    Math.min(
      Math.ceil(ENOUGH[device.capabilities.class] / workgroups),
      Math.floor(side.others / PART),
      Math.floor(MOST_BYTES / (8 * C * side.rows)),
    ),
  );
}

/** Which columns of sums go where in the rows of a gradient. */
interface Place {
  /** The first column of the sums; 0 if absent. */
  readonly first?: number;
  /** Number of columns. */
  readonly count: number;
  /** Elements from one row of the gradient to the next. */
  readonly stride: number;
  /** Elements before the first row's. */
  readonly offset: number;
}

/** Adds up parts, and puts the sums where a gradient goes. */
function sumParts(
  device: Device,
  sums: Tensor,
  side: SpanSide,
  { tensor: y, add }: Gradient,
  { first = 0, count, stride, offset }: Place,
): void {
  const [parts = 0, rows = 0, width = 0] = sums.shape;
  const { WG, workgroups } = spread(device, side.longest * count, 4);
  device.run(sumKernel, {
    specialise: { WG, ADD: add, Y: `vec4<${y.dtype}>` },
    functions: prelude(y.dtype, divideLines(device, side.longest * count / 4)),
    bind: { sums, runs: side.runs, y },
    params: {
      rows,
      width: width / 4,
      column: first / 4,
      columns: count / 4,
      parts,
      y_stride: stride / 4,
      y_offset: offset / 4,
    },
    workgroups: [...workgroups, side.runs.shape[0]!],
  });
}

const prelude = memoised((dtype: string, divide: string) => `${gradientLines(dtype)}\n${divide}`);
