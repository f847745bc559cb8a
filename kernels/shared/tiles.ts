/**
 * Products by tiles in workgroup memory, without tensor cores: how many, and their WGSL.
 *
 * @module
 */

import { grid } from "../../engine/mod.ts";
import { range } from "./unroll.ts";
import source from "./tiles.wgsl" with { type: "text" };

/** Rows of a tile. */
const TILE_M = 64;

/** Columns of a tile. */
const TILE_N = 128;

/** Vec4s of k in the two steps of a turn of the loop. */
const TURN = 4;

/** Number of tiles that make `rows` × `columns`. */
export function tileCount(rows: number, columns: number): number {
  return Math.ceil(rows / TILE_M) * Math.ceil(columns / TILE_N);
}

/** Workgroups along x, y and z that make `rows` × `columns` in `parts` of the common axis. */
export function tileGrid(rows: number, columns: number, parts: number): [number, number, number] {
  return [...grid(tileCount(rows, columns)), parts];
}

/** Whether `depth` vec4s of k fill all turns of `parts` parts, so that nothing needs a guard. */
export function fillsTurns(depth: number, parts: number): boolean {
  return depth % (TURN * parts) === 0;
}

/**
 * WGSL: `Sums`, the 8 × 8 of an invocation; for each half of workgroup memory `multiply`, which adds the products of 8
 * of k, and `keep`, which stores what an invocation fetched; `finish_all(sums, m, n, index)`, which passes each sum to
 * `finish`; tiles.wgsl. Everything is unrolled: sums stay in registers only if each has a name.
 */
export const TILE_LINES: string = [
  `struct Sums { ${each((i, j) => `s${i}_${j}: vec4<f32>`).join(", ")} }`,
  ...[0, 1].flatMap(halfLines),
  "fn finish_all(sums: Sums, m: u32, n: u32, index: u32) {",
  "  let at = place_of(index);",
  ...each((i, j) =>
    `  finish(m + 32 * at.m + ${4 * i} + at.row, n + 16 * at.n + ${
      8 * j
    } + at.column, sums.s${i}_${j});`
  ),
  "}",
  source,
].join("\n");

/** WGSL functions for one half of workgroup memory. */
function halfLines(half: number): string[] {
  const [x, w] = [`x_tile[${half}]`, `w_tile[${half}]`];
  return [
    `fn multiply_${half}(sums: Sums, at: Place) -> Sums {`,
    "  var s = sums;",
    ...[0, 1].flatMap((q) => [
      ...range(8).map((i) => `  let a${q}_${i} = ${x}[${q}][at.m][${i}][at.row];`),
      ...range(4).flatMap((k) => [
        ...[0, 1].map((j) =>
          `  let b${q}_${k}_${j} = ${w}[${2 * q + (k >> 1)}][${k % 2}][at.n][${j}][at.column];`
        ),
        ...each((i, j) =>
          `  s.s${i}_${j} = fma(vec4(a${q}_${i}[${k}]), b${q}_${k}_${j}, s.s${i}_${j});`
        ),
      ]),
    ]),
    "  return s;",
    "}",
    `fn keep_${half}(v: Step, i: u32) {`,
    `  ${x}[i / 8 % 2][i / 64][i / 16 % 4 * 2 + i / 4 % 2][i % 4] = vec4<f32>(v.x);`,
    "  let rows = unpack_w(v.w);",
    ...[0, 1].map((r) => `  ${w}[i / 32][${r}][i / 16 % 2][i / 8 % 2][i % 8] = rows[${r}];`),
    "}",
  ];
}

/** Calls `line` for the 8 rows by 2 vec4s of columns of an invocation. */
function each(line: (i: number, j: number) => string): string[] {
  return range(8).flatMap((i) => [0, 1].map((j) => line(i, j)));
}
