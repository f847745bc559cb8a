/**
 * Products by subgroup matrices (tensor cores): the choice of a shape, and the lines that multiply tiles in workgroup
 * memory.
 *
 * @module
 */

import {
  type Device,
  grid,
  KernelError,
  type Specialisation,
  type SubgroupMatrix,
} from "../../engine/mod.ts";
import { variantOf } from "./variants.ts";
import toF16 from "./to_f16.wgsl" with { type: "text" };
import source from "./matrix.wgsl" with { type: "text" };

/** The part of a product that a workgroup makes, and how its subgroups share it. */
export interface Tile {
  /** Rows of the tile. */
  readonly m: number;
  /** Columns of the tile. */
  readonly n: number;
  /** Rows that one subgroup makes. */
  readonly subgroupM: number;
  /** Columns that one subgroup makes. */
  readonly subgroupN: number;
}

/** Tiles to choose from. Both give the same sums, so only time depends on the choice. */
export const TILES: Readonly<Record<"small" | "large", Tile>> = {
  /** 4 subgroups: for few rows, and where large tiles would leave cores idle. */
  small: { m: 64, n: 64, subgroupM: 32, subgroupN: 32 },
  /** 8 subgroups: half the loads for the same work. */
  large: { m: 128, n: 128, subgroupM: 64, subgroupN: 32 },
};

/** Length of the common axis that a tile takes at a time: two matrices on most GPUs. */
export const TILE_K = 32;

/** Vec4s of f16 added to each row of a tile, so that the rows of a matrix lie in different banks. */
const PAD = 2;

/** Most bytes of workgroup memory that a large tile takes. */
const TILE_BYTES = 32768;

/** `vector` runs on any adapter; `small` and `large` need tensor cores and make tiles of 64 × 64 and 128 × 128. */
export type MatrixVariant = "vector" | keyof typeof TILES;

/**
 * Chooses how `kernel` makes M × N of a product by weights in a buffer whose precision is `float`. Tensor cores round
 * to f16, so they are not used where f32 was asked for. The number of rows decides only about the size of the tile,
 * which changes no sum: the bits of one row must not depend on the others.
 */
export function matrixVariant(
  device: Device,
  kernel: string,
  float: "f32" | "f16",
  M: number,
  N: number,
): MatrixVariant {
  const obstacle = device.capabilities.class === "cpu"
    ? "a software adapter"
    : float === "f32"
    ? "f32 weights are multiplied exactly"
    : matrixShape(device)
    ? null
    : "no tensor cores";
  const { m, n } = TILES.large;
  const variant = obstacle
    ? "vector"
    : variantOf(device, "matrix tile", Math.ceil(M / m) * Math.ceil(N / n));
  device.debug?.variant(kernel, variant, obstacle ?? "f16 on tensor cores");
  return variant;
}

/** Returns the largest shape that multiplies f16 into f32 and divides the tiles; null if there is none. */
export function matrixShape({ capabilities }: Device): SubgroupMatrix | null {
  const { subgroupMatrices, subgroupSize, f16, limits } = capabilities;
  const { maxComputeInvocationsPerWorkgroup: most = 0, maxComputeWorkgroupStorageSize: room = 0 } =
    limits;
  if (!f16 || !subgroupSize || 8 * subgroupSize > most || room < TILE_BYTES) return null;
  const [largest = null] = subgroupMatrices
    .filter(({ componentType, resultComponentType, M, N, K }) =>
      componentType === "f16" && resultComponentType === "f32" &&
      [M, N, K].every((size) => size % 4 === 0 && TILE_K % size === 0)
    )
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return largest;
}

/** How a kernel makes M × N by subgroup matrices; see matmul_matrix.wgsl. */
export interface Matrices {
  /** Constants and types. */
  readonly specialise: Specialisation;
  /** Arguments of {@link matrixLines}. */
  readonly lineArgs: Parameters<typeof matrixLines>;
  /** Workgroups along x, y, z. */
  readonly workgroups: [number, number, number];
}

/**
 * Returns how to make rows × columns of a product by tiles of a variant.
 *
 * @throws {KernelError} `no-matrices`: the adapter has no tensor cores, or none that fit.
 */
export function matrices(
  device: Device,
  variant: keyof typeof TILES,
  rows: number,
  columns: number,
): Matrices {
  const { subgroupSize, adapter } = device.capabilities;
  const shape = matrixShape(device);
  if (!shape) {
    throw new KernelError("no-matrices", `Cannot multiply matrices of f16 on ${adapter}`);
  }
  const tile = TILES[variant];
  return {
    specialise: constants(shape, tile, subgroupSize),
    lineArgs: [shape.M, shape.N, shape.K, tile.subgroupM, tile.subgroupN],
    workgroups: [Math.ceil(columns / tile.n), ...grid(Math.ceil(rows / tile.m))],
  };
}

function constants(
  { M, N, K }: SubgroupMatrix,
  { m, n, subgroupM, subgroupN }: Tile,
  lanes: number,
): Specialisation {
  const subgroups = m / subgroupM * (n / subgroupN);
  return {
    Left: `subgroup_matrix_left<f16, ${K}, ${M}>`,
    Right: `subgroup_matrix_right<f16, ${N}, ${K}>`,
    Result: `subgroup_matrix_result<f32, ${N}, ${M}>`,
    LANES: lanes,
    WG: subgroups * lanes,
    TILE_M: m,
    TILE_N: n,
    TILE_K,
    SUBGROUP_M: subgroupM,
    SUBGROUP_N: subgroupN,
    MATRIX_M: M,
    MATRIX_N: N,
    PITCH_X: TILE_K / 4 + PAD,
    PITCH_W: n / 4 + PAD,
    X_TILE: m * (TILE_K / 4 + PAD),
    W_TILE: TILE_K * (n / 4 + PAD),
    STAGE: subgroups * M * N / 4,
  };
}

/**
 * Returns WGSL: `Sums`, the matrices that a subgroup makes; `multiply(sums, a, b)`, which adds the product of its rows
 * of x_tile, from vec4 `a` on, and its columns of w_tile, from vec4 `b` on; `finish_all(sums, m, n, subgroup, lane)`,
 * which passes each to `finish`; to_f16.wgsl and matrix.wgsl.
 *
 * All of it is unrolled: matrices stay in registers only if each has a name.
 */
export function matrixLines(
  M: number,
  N: number,
  K: number,
  subgroupM: number,
  subgroupN: number,
): string {
  const rows = Array.from({ length: subgroupM / M }, (_, i) => i);
  const columns = Array.from({ length: subgroupN / N }, (_, j) => j);
  const all = rows.flatMap((i) => columns.map((j) => ({ i, j, name: `s${i}_${j}` })));
  const steps = Array.from({ length: TILE_K / K }, (_, k) => k);
  const multiply = steps.flatMap((k) => [
    ...rows.map((i) =>
      `  let a${k}_${i} = subgroupMatrixLoad<Left, row_major>(&x_tile, a + ${i * M} * PITCH_X + ${
        k * K / 4
      }, PITCH_X);`
    ),
    ...columns.map((j) =>
      `  let b${k}_${j} = subgroupMatrixLoad<Right, row_major>(&w_tile, b + ${k * K} * PITCH_W + ${
        j * N / 4
      }, PITCH_W);`
    ),
    ...all.map(({ i, j, name }) =>
      `  s.${name} = subgroupMatrixMultiplyAccumulate(a${k}_${i}, b${k}_${j}, s.${name});`
    ),
  ]);
  const finish = all.map(({ i, j, name }) =>
    `  subgroupMatrixStore<row_major>(&stage, at, sums.${name}, MATRIX_N / 4);
  workgroupBarrier();
  finish(m + ${i * M}, n + ${j * N / 4}, subgroup, lane);
  workgroupBarrier();`
  );
  return [
    `struct Sums { ${all.map(({ name }) => `${name}: Result`).join(", ")} }`,
    "fn multiply(sums: Sums, a: u32, b: u32) -> Sums {",
    "  var s = sums;",
    ...multiply,
    "  return s;",
    "}",
    "fn finish_all(sums: Sums, m: u32, n: u32, subgroup: u32, lane: u32) {",
    "  let at = subgroup * (MATRIX_M * MATRIX_N / 4);",
    ...finish,
    "}",
    toF16,
    source,
  ].join("\n");
}
