import { defineKernel, type Device, memoised } from "../../engine/mod.ts";
import { BINDINGS, type ConvDispatch, PARAMS } from "./conv_dispatch.ts";
import { accessY, readX } from "../shared/access.ts";
import {
  matrices,
  matrixLines,
  type MatrixTile,
  TILES,
  W_UNITS,
  W_VECTORS,
} from "../shared/matrix.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./conv2d_matrix.wgsl" with { type: "text" };

const kernel = defineKernel("conv2d_matrix", source, BINDINGS, PARAMS);

/** Tiles of a convolution. They give the same bits, so the number of images may decide. */
export type ConvTile = MatrixTile & ("middle" | "large");

/** Chooses the tile for `pixels` of y with N channels. */
export function convTile(device: Device, pixels: number, N: number): ConvTile {
  const { m, n } = TILES.large;
  if (N <= TILES.middle.n) return "middle";
  return variantOf(device, "conv2d_matrix", Math.ceil(pixels / m) * Math.ceil(N / n));
}

/** Convolves on tensor cores: {@link conv2d} by tiles of subgroup matrices. The weight is f16. */
export function conv2dMatrix(device: Device, operands: ConvDispatch, tile: ConvTile): void {
  const { bind: { x, y }, params: { pixels, C, N } } = operands;
  const { specialise, lineArgs, workgroups } = matrices(device, tile, pixels, N);
  const unitsX = x.dtype === "f16" && C % 8 === 0;
  const unitsW = Math.ceil(N / 4) % 2 === 0;
  const read = readX(x.dtype, C, "C");
  const access = accessY(y.dtype, N % 4 === 0);
  device.run(kernel, {
    specialise: {
      X: unitsX ? "vec4<u32>" : read.type,
      Y: access.type,
      W: unitsW ? "vec4<u32>" : "vec4<f16>",
      WHOLE: C % TILES[tile].k === 0,
      ...specialise,
    },
    functions: prelude(
      matrixLines(...lineArgs),
      unitsX ? X_UNITS : `${read.lines}\n${X_VECTORS}`,
      unitsW ? W_UNITS : W_VECTORS,
      access.lines,
    ),
    ...operands,
    workgroups,
  });
}

/** Returns all prelude lines. */
const prelude = memoised((tile: string, x: string, w: string, access: string): string =>
  [tile, x, w, access].join("\n")
);

/** x is f16, and its pixels are whole units. If a tile has one tap, all invocations find it by the same division. */
const X_UNITS = `alias XUnit = vec4<u32>;
fn take_x(p: Place, k: u32, c: u32) -> XUnit {
  let units = params.C / 8;
  let i = select(k + c, k, WHOLE);
  let pixel = source(p, i / units);
  let at = u32(pixel) * units + i % units + select(0u, c, WHOLE);
  return select(vec4(0u), x[select(0u, at, pixel >= 0)], pixel >= 0);
}
fn unit_x(v: XUnit) -> vec4<u32> { return v; }`;

/** Any x, by fetch_x. */
const X_VECTORS = `struct XUnit { a: Fetched, b: Fetched }
fn take_x(p: Place, k: u32, c: u32) -> XUnit {
  let i = 2 * (k + c);
  return XUnit(half_x(p, i), half_x(p, i + 1));
}
fn half_x(p: Place, i: u32) -> Fetched {
  let channels = (params.C + 3) / 4;
  let pixel = source(p, i / channels);
  return select(Fetched(), fetch_x(u32(max(pixel, 0)), i % channels), pixel >= 0);
}
fn unit_x(v: XUnit) -> vec4<u32> { return unit(to_f16(vec4<f32>(v.a)), to_f16(vec4<f32>(v.b))); }`;
