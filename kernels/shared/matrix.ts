/**
 * Products by subgroup matrices (tensor cores): the choice of a shape, and how a workgroup makes a tile, see
 * matrix.wgsl.
 *
 * @module
 */

import {
  type Capabilities,
  type Device,
  grid,
  KernelError,
  memoised,
  type Specialisation,
  type SubgroupMatrix,
} from "../../engine/mod.ts";
import { type Overflow, toF16 } from "./narrow.ts";
import { range } from "./unroll.ts";
import source from "./matrix.wgsl" with { type: "text" };

/** The part of a product that a workgroup makes. */
interface Tile {
  /** Rows of the tile. */
  readonly m: number;
  /** Columns of the tile. */
  readonly n: number;
  /** Length of the common axis that is in workgroup memory at a time. */
  readonly k: number;
  /** Workgroups that share the common axis. */
  readonly split: number;
}

/**
 * Tiles to choose from. `large` and `middle` give the same bits, so only time depends on which is taken; `split4` and
 * `split8` sum in another order. 4 subgroups of an NVIDIA GPU make a tile.
 */
export const TILES = {
  large: { m: 128, n: 128, k: 32, split: 1 },
  middle: { m: 64, n: 64, k: 64, split: 1 },
  split4: { m: 128, n: 128, k: 32, split: 4 },
  split8: { m: 64, n: 64, k: 32, split: 8 },
} as const satisfies Record<string, Tile>;

/** A way to multiply on tensor cores. */
export type MatrixTile = keyof typeof TILES;

/** Most invocations of a workgroup: each loads a unit of the smallest tile at least. */
const INVOCATIONS = 256;

/** Halves of a unit, see matrix.wgsl. */
const UNIT = 8;

/** Every shape of {@link matrixShape} divides it: two matrices on most GPUs. */
export const TILE_K = 32;

/** Workgroup memory that an adapter with matrices has at least. A large tile takes 19 KB of it. */
const ROOM = 32768;

/**
 * Why weights in a buffer, of the precision `float`, are not multiplied on tensor cores; null if they can be. Those
 * round to f16, so they are not used where f32 was asked for.
 */
export function matrixObstacle(device: Device, float: "f32" | "f16"): string | null {
  if (device.capabilities.class === "cpu") return "a software adapter";
  if (float === "f32") return "f32 weights are multiplied exactly";
  return matrixShape(device) ? null : "no tensor cores";
}

/** Shapes that were chosen, by what the adapter lists. */
const chosen = new WeakMap<readonly SubgroupMatrix[], SubgroupMatrix | null>();

/** Returns the largest shape that multiplies f16 into f32 and divides the tiles; null if there is none. */
export function matrixShape(
  { capabilities }: Pick<Device, "capabilities">,
): SubgroupMatrix | null {
  const { subgroupMatrices } = capabilities;
  let shape = chosen.get(subgroupMatrices);
  if (shape === undefined) chosen.set(subgroupMatrices, shape = largestShape(capabilities));
  return shape;
}

function largestShape(capabilities: Capabilities): SubgroupMatrix | null {
  const { subgroupMatrices, subgroupSize, f16, limits } = capabilities;
  const { maxComputeInvocationsPerWorkgroup: most = 0, maxComputeWorkgroupStorageSize: room = 0 } =
    limits;
  if (!f16 || subgroupSize < UNIT || most < INVOCATIONS || room < ROOM) return null;
  const [largest = null] = subgroupMatrices
    .filter(({ componentType, resultComponentType, M, N, K }) =>
      componentType === "f16" && resultComponentType === "f32" &&
      [M, N, K].every((size) => size % UNIT === 0 && TILE_K % size === 0) &&
      Object.values(TILES).every((tile) => partOf(tile, M, N, subgroupSize))
    )
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return largest;
}

/** The part of a tile that a subgroup makes. */
interface Part {
  /** Rows. */
  readonly m: number;
  /** Columns. */
  readonly n: number;
  /** Number of such parts. */
  readonly subgroups: number;
}

/** Returns the smallest part, of matrices of M × N, that needs at most {@link INVOCATIONS}; null if there is none. */
function partOf(tile: Tile, M: number, N: number, lanes: number): Part | null {
  for (const matrices of [1, 2, 4, 8]) {
    const m = matrices * M, n = matrices * N;
    const subgroups = tile.m / m * (tile.n / n);
    if (tile.m % m === 0 && tile.n % n === 0 && subgroups * lanes <= INVOCATIONS) {
      return { m, n, subgroups };
    }
  }
  return null;
}

/**
 * Returns the shape of an adapter's matrices, and the lanes of a subgroup.
 *
 * @throws {KernelError} `no-matrices`: the adapter has no tensor cores, or none that fit.
 */
export function matrices(device: Device): { shape: SubgroupMatrix; lanes: number } {
  const { subgroupSize: lanes, adapter } = device.capabilities;
  const shape = matrixShape(device);
  if (shape) return { shape, lanes };
  throw new KernelError("no-matrices", `Cannot multiply matrices of f16 on ${adapter}`);
}

/** Returns workgroups along x, y, z: tiles along N, tiles along M, and for `split` all of them again for each part. */
export function matrixGrid(
  tile: MatrixTile,
  M: number,
  N: number,
  split: number = 1,
): [number, number, number] {
  const { m, n } = TILES[tile];
  const [y, z] = grid(Math.ceil(M / m));
  return [Math.ceil(N / n), y, z * split];
}

/** Units of a row of x, of w and of a subgroup's sums in workgroup memory: one more than it needs. */
const pitches = (tile: Tile, part: Part) => [tile.k / UNIT + 1, tile.n / UNIT + 1, part.n / 4 + 1];

/** Returns the constants and types of a tile by matrices of one shape. */
export function matrixConstants(
  name: MatrixTile,
  M: number,
  N: number,
  K: number,
  lanes: number,
  split: number = 1,
): Specialisation {
  const tile = TILES[name];
  const { m, n, k } = tile;
  const part = partOf(tile, M, N, lanes)!;
  const [pitchX = 0, pitchW = 0, pitchSum = 0] = pitches(tile, part);
  return {
    ...matrixTypes(M, N, K),
    LANES: lanes,
    WG: part.subgroups * lanes,
    SPLIT: split,
    TILE_M: m,
    TILE_N: n,
    TILE_K: k,
    SUBGROUP_M: part.m,
    SUBGROUP_N: part.n,
    MATRIX_M: M,
    X_UNITS: k / UNIT,
    W_UNITS: n / UNIT,
    X_PITCH: pitchX,
    W_PITCH: pitchW,
    SUM_PITCH: pitchSum,
    MEMORY: Math.max(m * pitchX + k * pitchW, part.subgroups * M * pitchSum),
  };
}

/** Types of a subgroup's factors and sums. */
export function matrixTypes(
  M: number,
  N: number,
  K: number,
): Record<"Left" | "Right" | "Result", string> {
  return {
    Left: `subgroup_matrix_left<f16, ${K}, ${M}>`,
    Right: `subgroup_matrix_right<f16, ${N}, ${K}>`,
    Result: `subgroup_matrix_result<f32, ${N}, ${M}>`,
  };
}

/**
 * Returns WGSL: fn to_f16, matrix.wgsl, and what that needs unrolled, because matrices and units stay in registers only
 * if each has a name.
 *
 * - `Sums`: the matrices that a subgroup makes. `multiply(sums, a, b)` adds the product of its rows of x, from unit `a`
 *   of workgroup memory on, and its columns of w, from `b` on. `finish(sums, m, n, at, lane)` stores them.
 * - `Places`: what is known of the rows of x that an invocation loads, made by `places(m)`.
 * - `Units`: what it loads of the next tiles, by `take(origin, step, x_unit, w_row, n)`. `keep(units, x_to, w_to)`
 *   writes them to workgroup memory.
 */
export const matrixLines = memoised((
  name: MatrixTile,
  M: number,
  N: number,
  K: number,
  lanes: number,
  overflow: Overflow,
): string => {
  const tile = TILES[name];
  const { m, n, k } = tile;
  const part = partOf(tile, M, N, lanes)!;
  const invocations = part.subgroups * lanes;
  const [pitchX = 0, pitchW = 0, pitchSum = 0] = pitches(tile, part);
  const high = range(part.m / M), across = range(part.n / N), deep = range(k / K);
  // rows between two units of x, and of w, that one invocation loads
  const stepX = invocations * UNIT / k, stepW = invocations * UNIT / n;
  const unitsX = range(m / stepX), unitsW = range(k / stepW);
  const sums = high.flatMap((i) => across.map((j) => `s${i}_${j}`));
  const load = (name: string, side: "Left" | "Right", at: string, pitch: number) =>
    `  let ${name} = subgroupMatrixLoad<${side}, row_major>(&tiles, ${at}, ${pitch});`;
  return `${toF16(overflow)}
struct Sums { ${sums.map((sum) => `${sum}: Result`).join(", ")} }
struct Places { ${unitsX.map((j) => `x${j}: Place`).join(", ")} }
struct Units {
  ${[...unitsX.map((j) => `x${j}: XUnit`), ...unitsW.map((j) => `w${j}: WUnit`)].join(", ")}
}
fn places(m: u32) -> Places {
  return Places(${unitsX.map((j) => `place(m + ${j * stepX})`).join(", ")});
}
fn take(origin: Places, step: u32, x_unit: u32, w_row: u32, n: u32) -> Units {
  let k = step * TILE_K;
  return Units(
${unitsX.map((j) => `    take_x(origin.x${j}, k / 8, x_unit),`).join("\n")}
${unitsW.map((j) => `    take_w(k + ${j * stepW}, w_row, n),`).join("\n")}
  );
}
fn keep(units: Units, x_to: u32, w_to: u32) {
${unitsX.map((j) => `  tiles[x_to + ${j * stepX * pitchX}] = unit_x(units.x${j});`).join("\n")}
${unitsW.map((j) => `  tiles[w_to + ${j * stepW * pitchW}] = unit_w(units.w${j});`).join("\n")}
}
fn multiply(s: ptr<function, Sums>, a: u32, b: u32) {
${
    deep.flatMap((d) => [
      ...high.map((i) =>
        load(`a${d}_${i}`, "Left", `a + ${i * M * pitchX + d * K / UNIT}`, pitchX)
      ),
      ...across.flatMap((j) => [
        // right before its products, so that few matrices are held at a time
        load(`b${d}_${j}`, "Right", `b + ${d * K * pitchW + j * N / UNIT}`, pitchW),
        ...high.map((i) =>
          `  s.s${i}_${j} = subgroupMatrixMultiplyAccumulate(a${d}_${i}, b${d}_${j}, s.s${i}_${j});`
        ),
      ]),
    ]).join("\n")
  }
}
fn finish(s: ptr<function, Sums>, m: u32, n: u32, at: u32, lane: u32) {
${
    high.flatMap((i) => [
      ...across.map((j) =>
        `  subgroupMatrixStore<row_major>(&tiles, at + ${j * N / 4}, s.s${i}_${j}, ${pitchSum});`
      ),
      "  workgroupBarrier();",
      `  store_rows(m + ${i * M}, n, at, lane);`,
      "  workgroupBarrier();",
    ]).join("\n")
  }
}
${source}`;
});

/**
 * WGSL for weights of f16 whose rows, params.N columns, are whole units: take_w and unit_w. Rows beyond depth() meet
 * zeros of x; there are none if the kernel says WHOLE.
 */
export const W_UNITS = `alias WUnit = vec4<u32>;
fn take_w(k: u32, row: u32, n: u32) -> WUnit {
  let columns = (params.N + 3) / 8;
  return w[select(min(k + row, depth() - 1), k + row, WHOLE) * columns + min(n, columns - 1)];
}
fn unit_w(v: WUnit) -> vec4<u32> { return v; }`;

/** The same for any floats, in vec4s. */
export const W_VECTORS = `struct WUnit { a: W, b: W }
fn take_w(k: u32, row: u32, n: u32) -> WUnit {
  let columns = (params.N + 3) / 4;
  let at = min(k + row, depth() - 1) * columns;
  return WUnit(w[at + min(2 * n, columns - 1)], w[at + min(2 * n + 1, columns - 1)]);
}
fn unit_w(v: WUnit) -> vec4<u32> { return unit(vec4<f16>(v.a), vec4<f16>(v.b)); }`;
