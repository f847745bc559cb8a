import { defineKernel, type Device, grid, KernelError, type Tensor } from "../engine/mod.ts";
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
  /** [B, h, w, C] f32 or f16; or u32, which takes signs: 1 above zero, else 0. */
  readonly y: Tensor;
  /** `area`: the mean of the cells a cell touches; `linear`: between two cells each way, also when shrinking. */
  readonly mode: "area" | "linear";
  /** Resizes to (2h, 2w) and stacks squares: y is [B, h, w, 4·C], channel 4·c + 2·dy + dx. */
  readonly unshuffle?: boolean;
}

type Mode = ResampleArgs["mode"];
const VALUES = preludes("fn result(value: f32) -> Y { return Y(value); }");
const SIGNS = preludes("fn result(value: f32) -> Y { return Y(value > 0); }");

/** The kernel calls `resize`, whichever it is, and stores what `result` makes of it. */
function preludes(result: string): Record<Mode, string> {
  const prelude = (mode: Mode, text: string) =>
    `${text}
fn resize(at: vec2<u32>, cell: vec2<u32>, cells: vec2<u32>, size: vec2<u32>) -> f32 {
  return resize_${mode}(at, cell, cells, size);
}
${result}`;
  return { area: prelude("area", resizeArea), linear: prelude("linear", resizeLinear) };
}

/**
 * Resizes images (`torch.nn.functional.interpolate`, `area` or `bilinear` without align_corners and antialiasing, as
 * in infinity/models/bsq_vae/multiscale_bsq.py). Equal sizes copy exactly.
 *
 * @throws {KernelError} if shapes disagree.
 */
export function resample(device: Device, { x, y, mode, unshuffle = false }: ResampleArgs): void {
  const [B = 0, H = 0, W = 0, C = 0] = x.shape;
  const [, h = 0, w = 0] = y.shape;
  const side = unshuffle ? 2 : 1;
  if (x.shape.length !== 4 || y.shape.join() !== [B, h, w, C * side * side].join()) {
    throw new KernelError("bad-shape", `Cannot resample [${x.shape}] to [${y.shape}]`);
  }
  device.run(kernel, {
    specialise: { Y: y.dtype },
    functions: y.dtype === "u32" ? SIGNS[mode] : VALUES[mode],
    bind: { x, y },
    params: {
      count: y.elements,
      height: h * side,
      width: w * side,
      in_height: H,
      in_width: W,
      C,
      side,
    },
    workgroups: grid(Math.ceil(y.elements / 64)),
  });
}
