import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import type { Gradient } from "../shared/gradient.ts";
import { gradientLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { vectorsOf } from "../shared/vectors.ts";
import type { ResampleArgs } from "./resample.ts";
import reachArea from "./reach_area.wgsl" with { type: "text" };
import reachLinear from "./reach_linear.wgsl" with { type: "text" };
import resizeLinear from "./resize_linear.wgsl" with { type: "text" };
import source from "./resample_backward.wgsl" with { type: "text" };

const kernel = defineKernel("resample_backward", source, ["dy", "dx"], [
  "count",
  "height",
  "width",
  "out_height",
  "out_width",
  "C",
  "row_unit",
  "column_unit",
]);

const REACH = { area: reachArea, linear: `${resizeLinear}\n${reachLinear}` } as const;

const prelude = memoised((mode: keyof typeof REACH, dtype: string, per: 1 | 4, divide: string) =>
  [divide, REACH[mode], gradientLines(dtype, per)].join("\n")
);

/** Arguments of {@link resampleBackward}. */
export interface ResampleBackwardArgs extends Pick<ResampleArgs, "mode"> {
  /** Gradient by y, [B, h, w, C] f32 or f16. */
  readonly dy: Tensor;
  /** Gradient by x, [B, H, W, C] f32 or f16. */
  readonly dx: Gradient;
}

/**
 * The gradient of {@link resample} by x: its transpose, with f32 sums.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function resampleBackward(device: Device, args: ResampleBackwardArgs): void {
  const { dy, dx: { tensor: dx, add }, mode } = args;
  const [B = 0, H = 0, W = 0, C = 0] = dx.shape;
  const [, h = 0, w = 0] = dy.shape;
  if (dx.shape.length !== 4 || dy.shape.join() !== [B, h, w, C].join()) {
    throw new KernelError(
      "bad-shape",
      `Cannot send the gradient of [${dy.shape}] back to [${dx.shape}]`,
    );
  }
  const { per, type } = vectorsOf(C);
  const count = dx.elements / per;
  // the largest number to divide: an index, or a position in units of half a cell
  const most = Math.max(count, 2 * Math.max((h + 1) * (H + 1), (w + 1) * (W + 1)) + 2 * (h + w));
  const { WG, workgroups } = spread(device, count);
  device.run(kernel, {
    specialise: { WG, ADD: add, T: type("f32"), X: type(dy.dtype), Y: type(dx.dtype) },
    functions: prelude(mode, dx.dtype, per, divideLines(device, most)),
    bind: { dy, dx },
    params: {
      count,
      height: H,
      width: W,
      out_height: h,
      out_width: w,
      C: C / per,
      row_unit: 1 / (2 * h),
      column_unit: 1 / (2 * w),
    },
    workgroups,
  });
}
