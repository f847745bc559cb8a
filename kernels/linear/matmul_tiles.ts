import { defineKernel, type Device, grid, memoised } from "../../engine/mod.ts";
import { BINDINGS, PARAMS, type Product, productDispatch } from "./product.ts";
import source from "./matmul_tiles.wgsl" with { type: "text" };

const kernel = defineKernel("matmul_tiles", source, BINDINGS, PARAMS);

/** The part of a product that a workgroup makes, and how its invocations share it. */
interface Tile {
  /** Number of rows, and of columns. */
  readonly side: number;
  /** Vec4s of rows that one invocation makes. */
  readonly rows: number;
  /** Vec4s of columns that one invocation makes. */
  readonly columns: number;
}

/**
 * Tiles to choose from; both give the same sums. An invocation loads one block of 4 × 4: a workgroup has `side ·
 * TILE_K / 8`.
 */
const TILES = {
  /** 128 invocations, 8 KiB. */
  tiles64: { side: 64, rows: 2, columns: 1 },
  /** 256 invocations, 16 KiB: half the loads for the same work. */
  tiles128: { side: 128, rows: 2, columns: 2 },
} as const satisfies Record<string, Tile>;

/** Name of a tile. */
export type TilesVariant = keyof typeof TILES;

/** Length of the common axis that a tile takes at a time. It is unrolled. */
const TILE_K = 16;

/** Invocations of a part of a tile, down and across. */
const [DOWN, ACROSS] = [4, 8];

/** Multiplies by tiles in workgroup memory. */
export function matmulTiles(device: Device, product: Product, variant: TilesVariant): void {
  const { side, rows, columns } = TILES[variant];
  const { specialise, functions, ...operands } = productDispatch(product);
  const { M, N } = operands.params;
  device.run(kernel, {
    specialise: {
      ...specialise,
      WG: side * TILE_K / 8,
      TILE_M: side,
      TILE_N: side,
      TILE_K,
      PART_M: 4 * DOWN * rows,
      PART_N: 4 * ACROSS * columns,
    },
    functions: prelude(functions, variant),
    ...operands,
    workgroups: [Math.ceil(N / side), ...grid(Math.ceil(M / side))],
  });
}

/** Returns all prelude lines. */
const prelude = memoised((lines: string, variant: TilesVariant): string =>
  `${tileLines(variant)}\n${lines}`
);

/**
 * Returns WGSL: `Sums`, what an invocation makes; `multiply(sums, a, b)`, which adds the products of the vec4s of the
 * tile from `a` and from `b` on; `finish_all(sums, m, n)`, which passes each sum to `finish`, from (m, 4n) on. All of
 * it is unrolled: sums stay in registers only if each has a name.
 */
function tileLines(variant: TilesVariant): string {
  const { rows, columns } = TILES[variant];
  const [as, bs] = [range(rows), range(columns)];
  const sums = as.flatMap((i) =>
    range(4).flatMap((r) => bs.map((j) => ({ i, r, j, name: `s${4 * i + r}_${j}` })))
  );
  const factors = [...as.map((i) => `a${i}`), ...bs.map((j) => `b${j}`)];
  return [
    `struct Sums { ${sums.map(({ name }) => `${name}: vec4<f32>`).join(", ")} }`,
    // adds the products of one k
    `fn add(s: Sums, ${factors.map((name) => `${name}: vec4<f32>`).join(", ")}) -> Sums {`,
    "  return Sums(",
    ...sums.map(({ i, r, j, name }) => `    fma(vec4(a${i}[${r}]), b${j}, s.${name}),`),
    "  );",
    "}",
    "fn multiply(s0: Sums, a: u32, b: u32) -> Sums {",
    ...range(TILE_K).map((k) => {
      const at = [...as.map((i) => `a + ${DOWN * i}`), ...bs.map((j) => `b + ${ACROSS * j}`)];
      return `  let s${k + 1} = add(s${k}, ${at.map((i) => `tile[${k}][${i}]`).join(", ")});`;
    }),
    `  return s${TILE_K};`,
    "}",
    "fn finish_all(sums: Sums, m: u32, n: u32) {",
    ...sums.map(({ i, r, j, name }) =>
      `  finish(m + ${4 * DOWN * i + r}, n + ${ACROSS * j}, sums.${name});`
    ),
    "}",
  ].join("\n");
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
