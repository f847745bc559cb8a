import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import source from "./resample.wgsl" with { type: "text" };
import resizeArea from "./resize_area.wgsl" with { type: "text" };
import resizeLinear from "./resize_linear.wgsl" with { type: "text" };

const kernel = defineKernel("resample", source, ["x", "y"], [
  "count",
  "height",
  "width",
  "in_height",
  "in_width",
  "C",
  "side",
]);

/** Arguments of {@link resample}. */
export interface ResampleArgs {
  /** [B, H, W, C] f32. */
  readonly x: Tensor;
  /** [B, h, w, C] f32 or f16; or u32, which stores signs: 1 above zero, otherwise 0. */
  readonly y: Tensor;
  /** `area`: the mean of all cells that a cell touches. `linear`: between two cells per axis, also when shrinking. */
  readonly mode: "area" | "linear";
  /** Resizes to (2h, 2w) and stacks 2 × 2 squares: y is [B, h, w, 4·C], channel 4·c + 2·dy + dx. */
  readonly unshuffle?: boolean;
}

const RESIZE = { area: resizeArea, linear: resizeLinear } as const;

/** The kernel calls `resize` for the chosen mode, and stores what `result` makes of it. */
const prelude = memoised((mode: keyof typeof RESIZE, signs: boolean, divide: string): string =>
  `${divide}
${RESIZE[mode]}
fn resize(at: vec2<u32>, cell: vec2<u32>, cells: vec2<u32>, size: vec2<u32>) -> T {
  return resize_${mode}(at, cell, cells, size);
}
fn result(value: T) -> Y { return ${signs ? "select(Y(0u), Y(1u), value > T())" : "Y(value)"}; }`
);

/**
 * Resizes images (`torch.nn.functional.interpolate`, `area` or `bilinear` without align_corners and antialiasing, as
 * in infinity/models/bsq_vae/multiscale_bsq.py). Equal sizes copy exactly.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function resample(device: Device, { x, y, mode, unshuffle = false }: ResampleArgs): void {
  const [B = 0, H = 0, W = 0, C = 0] = x.shape;
  const [, h = 0, w = 0] = y.shape;
  const side = unshuffle ? 2 : 1;
  if (x.shape.length !== 4 || y.shape.join() !== [B, h, w, C * side * side].join()) {
    throw new KernelError("bad-shape", `Cannot resample [${x.shape}] to [${y.shape}]`);
  }
  const per = C % 4 === 0 && side === 1 ? 4 : 1;
  const count = y.elements / per;
  // the largest number to divide: an index, or a position in units of half a cell of the result
  const most = Math.max(count, 2 * side * Math.max(h * H, w * W) + Math.max(H, W, h, w));
  const type = (scalar: string) => per === 4 ? `vec4<${scalar}>` : scalar;
  device.run(kernel, {
    specialise: { T: type("f32"), Y: type(y.dtype) },
    functions: prelude(mode, y.dtype === "u32", divideLines(device, most)),
    bind: { x, y },
    params: {
      count,
      height: h * side,
      width: w * side,
      in_height: H,
      in_width: W,
      C: C / per,
      side,
    },
    workgroups: grid(Math.ceil(count / 64)),
  });
}
