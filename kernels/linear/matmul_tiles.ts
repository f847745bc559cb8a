import { defineKernel, type Device, memoised } from "../../engine/mod.ts";
import {
  BINDINGS,
  PARAMS,
  type Product,
  productDispatch,
  productInParts,
  productRows,
} from "./product.ts";
import { fillsTurns, TILE_LINES, tileCount, tileGrid } from "../shared/tiles.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./matmul_tiles.wgsl" with { type: "text" };

const kernel = defineKernel("matmul_tiles", source, BINDINGS, PARAMS);

/** K from which on a second pass costs little beside the first. */
const DEEP = 4096;

/** Shortest part of K: none was measured. */
const SHORTEST = 256;

/** In how many parts to make a product of so many tiles: those of one image, since parts change the order of sums. */
export function tileParts(device: Device, tiles: number, K: number): number {
  const choice = K < DEEP ? "matmul_tiles parts" : "matmul_tiles parts, deep";
  return limitedParts(variantOf(device, choice, tiles), K);
}

/** Returns as many parts as wanted, but none that is too short. */
export function limitedParts(wanted: string, K: number): number {
  return Math.min(Number(wanted), 2 ** Math.floor(Math.log2(Math.max(1, K / SHORTEST))));
}

/** Multiplies by tiles in workgroup memory: {@link matmul} with K in `parts`, which are chosen if absent. */
export function matmulTiles(device: Device, product: Product, parts?: number): void {
  const { rows = productRows(product), linear: { K, N } } = product;
  const count = parts ?? tileParts(device, tileCount(2 * rows, N), K);
  if (count === 1) return multiply(device, product, 1);
  productInParts(device, product, count, (part) => multiply(device, part, count));
}

function multiply(device: Device, product: Product, parts: number): void {
  const { specialise, functions, ...operands } = productDispatch(product);
  const { M, K, N } = operands.params;
  device.run(kernel, {
    specialise: { ...specialise, EXACT: fillsTurns(K / 4, parts) },
    functions: prelude(functions),
    ...operands,
    workgroups: tileGrid(M, N, parts),
  });
}

/** Returns all prelude lines. */
const prelude = memoised((lines: string): string => `${TILE_LINES}\n${lines}`);
