import { defineKernel, type Device, memoised } from "../../engine/mod.ts";
import { BINDINGS, type ConvDispatch, PARAMS } from "./conv_dispatch.ts";
import { accessY, readX } from "../shared/access.ts";
import type { Overflow } from "../shared/narrow.ts";
import {
  matrices,
  matrixConstants,
  matrixGrid,
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
  const { bind: { x, y }, params: { pixels, C, N }, overflow = "largest" } = operands;
  const { shape, lanes } = matrices(device);
  device.run(kernel, {
    ...recipe(
      tile,
      shape.M,
      shape.N,
      shape.K,
      lanes,
      x.dtype,
      C % 8 === 0 ? 8 : C % 4 === 0 ? 4 : 1,
      C % TILES[tile].k === 0,
      Math.ceil(N / 4) % 2 === 0,
      y.dtype,
      N % 4 === 0,
      overflow,
    ),
    ...operands,
    workgroups: matrixGrid(tile, pixels, N),
  });
}

/** Returns what a dispatch puts in front of the kernel; `divides` and the like are said of C and N. */
const recipe = memoised((
  tile: MatrixTile,
  M: number,
  N: number,
  K: number,
  lanes: number,
  xType: string,
  divides: number,
  whole: boolean,
  evenColumns: boolean,
  yType: string,
  vectors: boolean,
  overflow: Overflow,
) => {
  const unitsX = xType === "f16" && divides === 8;
  const read = readX(xType, divides, "C");
  const access = accessY(yType, vectors, overflow);
  return {
    specialise: {
      X: unitsX ? "vec4<u32>" : read.type,
      Y: access.type,
      W: evenColumns ? "vec4<u32>" : "vec4<f16>",
      WHOLE: whole,
      ...matrixConstants(tile, M, N, K, lanes),
    },
    functions: [
      matrixLines(tile, M, N, K, lanes, overflow),
      unitsX ? X_UNITS : `${read.lines}\n${X_VECTORS}`,
      evenColumns ? W_UNITS : W_VECTORS,
      access.lines,
    ].join("\n"),
  };
});

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
