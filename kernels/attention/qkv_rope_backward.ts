import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { columnSums } from "../linear/column_sums.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import type { QkvRopeArgs } from "./qkv_rope.ts";
import { headLanes, totalLines } from "./qkv_rope_lanes.ts";
import source from "./qkv_rope_backward.wgsl" with { type: "text" };

const kernel = defineKernel(
  "qkv_rope_backward",
  source,
  ["qkv", "cos_table", "sin_table", "scale_mul", "dq", "dkv", "dqkv", "slopes"],
  ["count", "rows", "heads", "vectors", "rope_start"],
);

/** Arguments of {@link qkvRopeBackward}, where C = heads · headDim. */
export interface QkvRopeBackwardArgs extends
  Pick<
    QkvRopeArgs,
    "qkv" | "rope" | "scaleMul" | "batch" | "rows" | "heads" | "headDim" | "ropeStart"
  > {
  /** Gradient of the q that qkvRope() made, [batch · rows, C] f32 or f16. */
  readonly dq: Tensor;
  /** Gradients of the k that it made, and of v, side by side, [batch · rows, 2C] f32 or f16. */
  readonly dkv: Tensor;
  /** [batch · rows, 3C] f32 or f16. */
  readonly dqkv: Gradient;
  /** [heads] f32; null if not wanted, or without `scaleMul`. */
  readonly dScaleMul: Gradient | null;
}

/**
 * The gradients of {@link qkvRope} by qkv, and by scaleMul, which is zero where it is clamped to ln 100.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function qkvRopeBackward(device: Device, args: QkvRopeBackwardArgs): void {
  const { qkv, rope, scaleMul, batch, rows, heads, headDim, ropeStart, dq, dkv } = args;
  const { dqkv: { tensor: dqkv, add }, dScaleMul } = args;
  const count = batch * rows * heads;
  const positions = Math.min(rope.cos.elements, rope.sin.elements) / (headDim / 2);
  const fits = headDim % 4 === 0 && qkv.elements === count * 3 * headDim &&
    dqkv.elements === qkv.elements && dq.elements === count * headDim &&
    dkv.elements === 2 * dq.elements && ropeStart + rows <= positions &&
    (!scaleMul || scaleMul.elements === heads) &&
    (!dScaleMul || scaleMul?.elements === dScaleMul.tensor.elements);
  if (!fits) {
    throw new KernelError(
      "bad-shape",
      `Cannot send dq [${dq.shape}] and dkv [${dkv.shape}] back to qkv [${qkv.shape}] ` +
        `of ${batch} × ${rows} rows, ${heads} heads of ${headDim}, by ${positions} positions`,
    );
  }
  const { WG, LANES } = headLanes(device, headDim);
  using slopes = device.tensor("f32", [scaleMul ? batch * rows : 1, heads], "slopes");
  device.run(kernel, {
    specialise: {
      QKV: `vec4<${qkv.dtype}>`,
      DQ: `vec4<${dq.dtype}>`,
      DKV: `vec4<${dkv.dtype}>`,
      DQKV: `vec4<${dqkv.dtype}>`,
      COSINE: scaleMul !== null,
      ADD: add,
      WG,
      LANES,
    },
    functions: prelude(LANES > 1, dqkv.dtype),
    bind: {
      ...{ qkv, cos_table: rope.cos, sin_table: rope.sin, scale_mul: scaleMul },
      ...{ dq, dkv, dqkv, slopes },
    },
    params: { count, rows, heads, vectors: headDim / 4, rope_start: ropeStart },
    workgroups: grid(Math.ceil(count * LANES / WG)),
  });
  if (dScaleMul) columnSums(device, { x: slopes, y: dScaleMul });
}

/** All prelude lines. */
const prelude = memoised((together: boolean, dtype: string): string =>
  `${totalLines(together, "vec4<f32>")}\n${gradientLines(dtype)}`
);
