import { defineKernel, type Device, memoised } from "../../engine/mod.ts";
import { type Epilogue, epilogueLines } from "./epilogue.ts";
import { NARROW } from "./matmul_rows.ts";
import { BINDINGS, PARAMS, type Product, productInParts, productOperands } from "./product.ts";
import { isQuantised, WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
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
import source from "./matmul_matrix.wgsl" with { type: "text" };

const kernel = defineKernel("matmul_matrix", source, BINDINGS, PARAMS);

/** The common axis from which on workgroups share it for more rows. */
const DEEP = 4096;

/** The common axis from which on workgroups share it at all: four tiles for each. */
const SHALLOW = 1024;

/**
 * Chooses how to multiply by K × N weights where there are tensor cores; the result `rows` is matmul_rows.wgsl. How
 * sums are shared depends on the rows of one sequence, twice, since an image with guidance has two; the tile alone may
 * depend on M, all rows.
 */
export function matrixRegime(
  device: Device,
  K: number,
  N: number,
  rows: number,
  M: number,
): MatrixTile | "rows" {
  if (N <= NARROW) return "rows";
  const choice = K < DEEP ? "matmul_matrix shallow" : "matmul_matrix deep";
  const variant = variantOf(device, choice, 2 * rows);
  if (variant === "rows") return variant;
  if (TILES[variant].split > 1) return K < SHALLOW ? "middle" : variant;
  return M > 2 * rows && variantOf(device, choice, M) === "large" ? "large" : variant;
}

/** Multiplies on tensor cores: {@link matmul} by tiles of subgroup matrices. `split` is that of the tile if absent. */
export function matmulMatrix(
  device: Device,
  product: Product,
  tile: MatrixTile,
  split: number = TILES[tile].split,
): void {
  if (split === 1) return multiply(device, product, tile, 1);
  productInParts(device, product, split, (parts) => multiply(device, parts, tile, split));
}

function multiply(device: Device, product: Product, tile: MatrixTile, split: number): void {
  const { x, y, linear: { dtype, bias, K, N }, epilogue = "none", overflow = "largest" } = product;
  const { shape, lanes } = matrices(device);
  const operands = productOperands(product);
  device.run(kernel, {
    ...recipe(
      tile,
      split,
      shape.M,
      shape.N,
      shape.K,
      lanes,
      x.dtype,
      K % 8 === 0 ? 8 : K % 4 === 0 ? 4 : 1,
      K % TILES[tile].k === 0,
      dtype,
      Math.ceil(N / 4) % 2 === 0,
      y.dtype,
      N % 4 === 0,
      bias !== null,
      epilogue,
      overflow,
    ),
    ...operands,
    workgroups: matrixGrid(tile, operands.params.M, N, split),
  });
}

/** Returns what a dispatch puts in front of the kernel; `divides` and the like are said of K and N. */
const recipe = memoised((
  tile: MatrixTile,
  split: number,
  M: number,
  N: number,
  K: number,
  lanes: number,
  xType: string,
  divides: number,
  whole: boolean,
  wType: WeightType,
  evenColumns: boolean,
  yType: string,
  vectors: boolean,
  bias: boolean,
  epilogue: Epilogue,
  overflow: Overflow,
) => {
  const unitsX = xType === "f16" && divides === 8;
  const unitsW = wType === "f16" && evenColumns;
  const quantised = isQuantised(wType);
  const pairs = quantised && evenColumns;
  const read = readX(xType, divides, "K");
  const access = accessY(yType, vectors, overflow);
  return {
    specialise: {
      X: unitsX ? "vec4<u32>" : read.type,
      Y: access.type,
      W: unitsW ? "vec4<u32>" : pairs ? "vec2<u32>" : WEIGHT_FORMATS[wType].element,
      Scales: pairs ? "vec4<u32>" : "vec2<u32>",
      WHOLE: whole,
      ...matrixConstants(tile, M, N, K, lanes, split),
    },
    functions: [
      matrixLines(tile, M, N, K, lanes, overflow),
      unitsX ? X_UNITS : `${read.lines}\n${X_VECTORS}`,
      unitsW ? W_UNITS : TAKE_W[wType],
      ...(quantised ? [pairs ? PAIRS : SINGLES] : []),
      access.lines,
      epilogueLines(bias, epilogue),
    ].join("\n"),
  };
});

/** x is f16, and its rows are whole units. */
const X_UNITS = `alias Place = u32;
alias XUnit = vec4<u32>;
fn place(m: u32) -> Place { return min(m, params.M - 1) * (params.K / 8); }
fn take_x(row: Place, k: u32, c: u32) -> XUnit {
  let inside = WHOLE || k + c < params.K / 8;
  return select(vec4(0u), x[row + select(0u, k + c, inside)], inside);
}
fn unit_x(v: XUnit) -> vec4<u32> { return v; }`;

/** Any x, by fetch_x. */
const X_VECTORS = `alias Place = u32;
struct XUnit { a: Fetched, b: Fetched }
fn place(m: u32) -> Place { return min(m, params.M - 1); }
fn take_x(row: Place, k: u32, c: u32) -> XUnit {
  let i = 2 * (k + c);
  return XUnit(half_x(row, i), half_x(row, i + 1));
}
fn half_x(row: u32, i: u32) -> Fetched {
  let last = (params.K + 3) / 4 - 1;
  return select(Fetched(), fetch_x(row, min(i, last)), i <= last);
}
fn unit_x(v: XUnit) -> vec4<u32> { return unit(to_f16(vec4<f32>(v.a)), to_f16(vec4<f32>(v.b))); }`;

/** Two elements of w, and of scales, where their rows are pairs. */
const PAIRS = `fn pair_w(row: u32, n: u32) -> vec2<u32> {
  let columns = (params.N + 3) / 8;
  return w[row * columns + min(n, columns - 1)];
}
fn pair_scales(block: u32, n: u32) -> vec4<u32> {
  let columns = (params.N + 3) / 8;
  return scales[block * columns + min(n, columns - 1)];
}`;

/** The same for rows of any length. */
const SINGLES = `fn pair_w(row: u32, n: u32) -> vec2<u32> {
  let columns = (params.N + 3) / 4;
  let at = row * columns + min(vec2(2 * n, 2 * n + 1), vec2(columns - 1));
  return vec2(w[at.x], w[at.y]);
}
fn pair_scales(block: u32, n: u32) -> vec4<u32> {
  let columns = (params.N + 3) / 4;
  let at = block * columns + min(vec2(2 * n, 2 * n + 1), vec2(columns - 1));
  return vec4(scales[at.x], scales[at.y]);
}`;

/** The integers of a unit and the scales of their columns. `line` is the row of w that holds row i of the weights. */
const takeQuantised = (line: string, shift: string, integers: string) =>
  `struct WUnit { integers: vec2<u32>, shift: u32, scales: vec4<u32> }
fn take_w(k: u32, row: u32, n: u32) -> WUnit {
  let i = min(k + row, depth() - 1);
  return WUnit(pair_w(${line}, n), ${shift}, pair_scales(min(k, depth() - 1) / 32, n));
}
fn unit_w(v: WUnit) -> vec4<u32> {
  let integers = v.integers >> vec2(v.shift);
  return unit(scaled(integers.x, v.scales.xy), scaled(integers.y, v.scales.zw));
}
fn scaled(v: u32, s: vec2<u32>) -> vec4<f16> {
  return vec4<f16>(vec4(unpack2x16float(s.x), unpack2x16float(s.y)) * ${integers});
}`;

/** WGSL that loads 8 columns of a row of weights, by storage type. */
const TAKE_W: Readonly<Record<WeightType, string>> = {
  f32: W_VECTORS,
  f16: W_VECTORS,
  q8_0: takeQuantised("i", "0", "vec4<f32>(unpack4xI8(v))"),
  q4_0: takeQuantised("i / 2", "i % 2 * 4", "(vec4<f32>(unpack4xU8(v & 0x0f0f0f0f)) - 8)"),
};
