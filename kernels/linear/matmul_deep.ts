/**
 * Products of few rows and columns whose common axis is long, as gradients of weights are: workgroups share the axis.
 *
 * @module
 */

import { type Device, Texture } from "../../engine/mod.ts";
import { matmul } from "./matmul.ts";
import { matmulMatrix } from "./matmul_matrix.ts";
import { matmulTiles } from "./matmul_tiles.ts";
import { type Product, productRows } from "./product.ts";
import { matrixObstacle, type MatrixTile, TILES } from "../shared/matrix.ts";
import { tileCount } from "../shared/tiles.ts";

/** Workgroups that fill a large GPU: four for each of 128 processors. */
const ENOUGH = 512;

/** Shortest part of the common axis. */
const SHORTEST = 512;

/** Most parts, which are summed one after the other. */
const MOST = 64;

/** {@link matmul} of weights in floats, where how sums are shared may depend on all sizes. */
export function matmulDeep(device: Device, product: Product): void {
  const { linear: { weight, dtype, K, N } } = product;
  if (weight instanceof Texture || device.capabilities.class === "cpu") {
    return matmul(device, product);
  }
  const M = productRows(product);
  if (matrixObstacle(device, dtype === "f16" ? "f16" : "f32")) {
    return matmulTiles(device, product, deepParts(tileCount(M, N), K));
  }
  const tile = deepTile(M, N);
  return matmulMatrix(device, product, tile, deepParts(tiles(tile, M, N), K));
}

/** In how many parts to share a common axis of K among so many tiles. */
export function deepParts(tiles: number, K: number): number {
  const parts = Math.min(MOST, ENOUGH / tiles, K / SHORTEST);
  return 2 ** Math.max(0, Math.floor(Math.log2(parts)));
}

/** The larger tile, unless it is filled less. */
function deepTile(M: number, N: number): MatrixTile {
  const area = (tile: MatrixTile) => tiles(tile, M, N) * TILES[tile].m * TILES[tile].n;
  return area("large") > 1.1 * area("middle") ? "middle" : "large";
}

function tiles(tile: MatrixTile, M: number, N: number): number {
  return Math.ceil(M / TILES[tile].m) * Math.ceil(N / TILES[tile].n);
}
