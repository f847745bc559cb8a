import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { gradientLines } from "../shared/narrow.ts";
import source from "./transpose.wgsl" with { type: "text" };

const kernel = defineKernel("transpose", source, ["x", "y"], [
  "rows",
  "width",
  "pitch",
  "first",
  "first_row",
  "first_column",
  "down",
  "across",
  "columns",
  "scale",
]);

/** load(r, c): 4 elements of row r of x from column 4c on, zeros outside. */
const LOAD = {
  vec4: `fn load(r: u32, c: u32) -> vec4<f32> {
  let inside = r < params.rows && 4 * c < params.width;
  let at = min(r, params.rows - 1) * (params.pitch / 4) + params.first / 4 + min(c, params.width / 4 - 1);
  return select(vec4(0.0), vec4<f32>(x[at]), inside);
}`,
  scalar: `fn at(r: u32, c: u32) -> f32 {
  let at = min(r, params.rows - 1) * params.pitch + params.first + min(c, params.width - 1);
  return select(0.0, f32(x[at]), r < params.rows && c < params.width);
}
fn load(r: u32, c: u32) -> vec4<f32> {
  return vec4(at(r, 4 * c), at(r, 4 * c + 1), at(r, 4 * c + 2), at(r, 4 * c + 3));
}`,
} as const;

/** What {@link moveBlocks} moves. Rows and columns of y are counted in blocks of 4. */
export interface Blocks {
  /** Rows of `pitch` elements, f32 or f16. */
  readonly x: Tensor;
  /** Number of rows of x. */
  readonly rows: number;
  /** Elements of a row of x. */
  readonly pitch: number;
  /** First column of x to move. */
  readonly first: number;
  /** Columns of x to move. */
  readonly width: number;
  /** f32 or f16. */
  readonly y: Tensor;
  /** Whether columns of x become rows of y. */
  readonly transposed: boolean;
  /** First row of y to write. */
  readonly firstRow: number;
  /** First column of y to write. */
  readonly firstColumn: number;
  /** Rows of y to write, with zeros beyond x. */
  readonly down: number;
  /** Columns of y to write. */
  readonly across: number;
  /** Factor of all elements. */
  readonly scale: number;
  /** `params.columns` of `store`. */
  readonly columns: number;
  /** Whether `store` writes whole vec4s. */
  readonly vectors: boolean;
  /** WGSL `store(r, c, v)`: writes row r of y from column 4c on; `narrow` makes v of the type of y. */
  readonly store: string;
}

/** Moves a matrix in blocks of 4 × 4. */
export function moveBlocks(device: Device, blocks: Blocks): void {
  const { x, y, rows, width, pitch, first, transposed, down, across, columns, scale } = blocks;
  const whole = [pitch, first, width].every((n) => n % 4 === 0);
  // on CPUs, runs of 1 KiB are twice as fast for matrices beyond the cache; GPUs read whole sectors of x
  const ACROSS = device.capabilities.class === "cpu" && across >= 64 ? 64 : 16;
  const DOWN = 64 / ACROSS;
  device.run(kernel, {
    specialise: {
      TRANSPOSED: transposed,
      SCALED: scale !== 1,
      ACROSS,
      DOWN,
      X: whole ? `vec4<${x.dtype}>` : x.dtype,
      Y: blocks.vectors ? `vec4<${y.dtype}>` : y.dtype,
    },
    functions: prelude(y.dtype, whole, blocks.store),
    bind: { x, y },
    params: {
      rows,
      width,
      pitch,
      first,
      first_row: blocks.firstRow,
      first_column: blocks.firstColumn,
      down,
      across,
      columns,
      scale,
    },
    workgroups: grid(Math.ceil(down / DOWN) * Math.ceil(across / ACROSS)),
    work: { shape: [rows, width] },
  });
}

/** All prelude lines. */
const prelude = memoised((dtype: string, whole: boolean, store: string): string =>
  [
    gradientLines(dtype),
    LOAD[whole ? "vec4" : "scalar"],
    store,
  ].join("\n")
);

/** Stores rows of params.columns elements, none beyond the columns of x. */
const STORE = {
  vec4: `fn store(r: u32, c: u32, v: vec4<f32>) {
  if (r < params.width) { y[r * (params.columns / 4) + c] = narrow(v); }
}`,
  scalar: `fn store(r: u32, c: u32, v: vec4<f32>) {
  let w = narrow(v);
  for (var k = 0u; k < 4 && 4 * c + k < params.columns && r < params.width; k++) {
    y[r * params.columns + 4 * c + k] = w[k];
  }
}`,
} as const;

/** Arguments of {@link transpose}. */
export interface TransposeArgs {
  /** [M, columns] f32 or f16 (M may be several axes). */
  readonly x: Tensor;
  /** [N, P] f32 or f16. P is at least M; zeros fill what is beyond. */
  readonly y: Tensor;
  /** First of N columns of x; 0 if absent. */
  readonly first?: number;
  /** 1 if absent. */
  readonly scale?: number | undefined;
}

/**
 * y[n, m] = scale · x[m, first + n].
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function transpose(device: Device, args: TransposeArgs): void {
  const { x, y, first = 0, scale = 1 } = args;
  const pitch = x.shape.at(-1) ?? 0;
  const rows = x.elements / pitch;
  const [N = 0, P = 0] = y.shape;
  if (y.shape.length !== 2 || first + N > pitch || P < rows) {
    throw new KernelError(
      "bad-shape",
      `Cannot transpose [${x.shape}] from column ${first} on into [${y.shape}]`,
    );
  }
  const vectors = P % 4 === 0;
  moveBlocks(device, {
    x,
    rows,
    pitch,
    first,
    width: N,
    y,
    transposed: true,
    firstRow: 0,
    firstColumn: 0,
    down: Math.ceil(N / 4),
    across: Math.ceil(P / 4),
    columns: P,
    scale,
    vectors,
    store: STORE[vectors ? "vec4" : "scalar"],
  });
}
