import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import { narrowLines } from "../shared/narrow.ts";
import { spread } from "../shared/spread.ts";
import { textureTexels } from "../shared/textures.ts";
import { vectorsOf } from "../shared/vectors.ts";
import source from "./resample.wgsl" with { type: "text" };
import buffer from "./resample_buffer.wgsl" with { type: "text" };
import texture from "./resample_texture.wgsl" with { type: "text" };
import resizeArea from "./resize_area.wgsl" with { type: "text" };
import resizeLinear from "./resize_linear.wgsl" with { type: "text" };

const define = (operand: string) =>
  defineKernel("resample", `${operand}\n${source}`, ["x", "y"], [
    "count",
    "height",
    "width",
    "in_height",
    "in_width",
    "C",
    "side",
    "row_unit",
    "column_unit",
    "start",
    "gap",
  ]);
const KERNELS = { buffer: define(buffer), texture: define(texture) } as const;

/** Elements from which on a CPU wins by copying x to a texture first: it has no fast gather from buffers. */
const TEXTURE_FROM = 2048;

/** Arguments of {@link resample}. */
export interface ResampleArgs {
  /** [B, H, W, C] f32. */
  readonly x: Tensor;
  /**
   * [B, h, w, C] f32 or f16; or u32, which stores signs: 1 above zero, otherwise 0. With `place` [B, rows, C], of which
   * it becomes h · w rows.
   */
  readonly y: Tensor;
  /** `area`: the mean of all cells that a cell touches. `linear`: between two cells per axis, also when shrinking. */
  readonly mode: "area" | "linear";
  /** Resizes to (2h, 2w) and stacks 2 × 2 squares: y is [B, h, w, 4·C], channel 4·c + 2·dy + dx. */
  readonly unshuffle?: boolean;
  /** Which rows of y the result becomes: among the tokens of other scales, for instance. */
  readonly place?: ResamplePlace;
}

/** Where the result of {@link resample} is put. */
export interface ResamplePlace {
  /** h. */
  readonly height: number;
  /** w. */
  readonly width: number;
  /** Its first row in y. */
  readonly first: number;
}

const RESIZE = { area: resizeArea, linear: resizeLinear } as const;

/** The last argument of `resize_linear`. */
const UNITS = { area: "", linear: ", vec2(params.row_unit, params.column_unit)" } as const;

/** The kernel calls `resize` for the chosen mode, and stores what `result` makes of it. */
const prelude = memoised((
  mode: keyof typeof RESIZE,
  yType: string,
  per: 1 | 4,
  divide: string,
): string =>
  `${divide}
${RESIZE[mode]}
fn resize(at: vec2<u32>, cell: vec2<u32>, cells: vec2<u32>, size: vec2<u32>) -> T {
  return resize_${mode}(at, cell, cells, size${UNITS[mode]});
}
${
    yType === "u32"
      ? "fn result(value: T) -> Y { return select(Y(0u), Y(1u), value > T()); }"
      : narrowLines(yType, per, "result")
  }`
);

/**
 * Resizes images (`torch.nn.functional.interpolate`, `area` or `bilinear` without align_corners and antialiasing, as
 * in infinity/models/bsq_vae/multiscale_bsq.py). Equal sizes copy exactly.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function resample(device: Device, args: ResampleArgs): void {
  const { x, y, mode, unshuffle = false, place } = args;
  const [B = 0, H = 0, W = 0, C = 0] = x.shape;
  const { height: h, width: w, first } = place ??
    { height: y.shape[1] ?? 0, width: y.shape[2] ?? 0, first: 0 };
  const side = unshuffle ? 2 : 1;
  const rows = place ? y.shape[1] ?? 0 : h * w;
  const shape = [B, ...place ? [rows] : [h, w], C * side * side];
  if (x.shape.length !== 4 || y.shape.join() !== shape.join() || first + h * w > rows) {
    const where = place ? `, rows ${first} to ${first + h * w}` : "";
    throw new KernelError("bad-shape", `Cannot resample [${x.shape}] to [${y.shape}]${where}`);
  }
  const { per, type } = vectorsOf(side === 1 ? C : 1);
  const row = C * side * side / per;
  const elements = B * h * w * row;
  const vectors = C / per;
  const cpu = device.capabilities.class === "cpu";
  const staged = cpu && per === 4 && elements >= TEXTURE_FROM &&
    x.elements / per <= textureTexels(device);
  const each = !staged || vectors % 2 ? 1 : vectors % 4 ? 2 : 4;
  const count = elements / each;
  // the largest number to divide: an index, or a position in units of half a cell of the result
  const most = Math.max(count, 2 * side * Math.max(h * H, w * W) + Math.max(H, W, h, w));
  const { WG, workgroups } = spread(device, count);
  using operand = staged ? device.stage(x) : null;
  device.run(KERNELS[staged ? "texture" : "buffer"], {
    specialise: { T: type("f32"), Y: type(y.dtype), ELEMENTS: each, WG },
    functions: prelude(mode, y.dtype, per, divideLines(device, most)),
    bind: { x: operand ?? x, y },
    params: {
      count,
      height: h * side,
      width: w * side,
      in_height: H,
      in_width: W,
      C: vectors,
      side,
      row_unit: 1 / (2 * h * side),
      column_unit: 1 / (2 * w * side),
      start: first * row,
      gap: (rows - h * w) * row,
    },
    workgroups,
  });
}
