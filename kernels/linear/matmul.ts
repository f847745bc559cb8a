import { finishes } from "./epilogue.ts";
import { defineKernel, type Device, grid, KernelError, Texture } from "../../engine/mod.ts";
import { matmulMatrix, matrixRegime } from "./matmul_matrix.ts";
import { matmulRows, NARROW } from "./matmul_rows.ts";
import { matmulTexture } from "./matmul_texture.ts";
import { matmulTiles, tileParts } from "./matmul_tiles.ts";
import { BINDINGS, PARAMS, type Product, productDispatch, productRows } from "./product.ts";
import { WEIGHT_FORMATS } from "./weight_types.ts";
import { matrixObstacle, type MatrixTile } from "../shared/matrix.ts";
import { textureTexels } from "../shared/textures.ts";
import { tileCount } from "../shared/tiles.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./matmul.wgsl" with { type: "text" };

export type { Epilogue, Gate } from "./epilogue.ts";

const kernel = defineKernel("matmul", source, BINDINGS, PARAMS);

/** Rows of y that one invocation of matmul.wgsl makes. */
const ROWS = 8;
/** Invocations of a workgroup. */
const WG = 64;

/**
 * `vector`: registers alone; `rows`: K shared by the invocations of a workgroup; `tiles`: tiles in workgroup memory;
 * others: tensor cores.
 */
export type MatmulVariant = "vector" | "rows" | "tiles" | MatrixTile;

/** Arguments of {@link matmul}. */
export interface MatmulArgs extends Product {
  /** How to multiply by a weight in a buffer; chosen by the adapter if absent. */
  readonly variant?: MatmulVariant;
}

/**
 * Computes y = epilogue(x · Wᵀ + b), every linear layer (`torch.nn.Linear`), with f32 sums.
 *
 * @throws {KernelError} `bad-shape`: shapes do not match.
 */
export function matmul(device: Device, args: MatmulArgs): void {
  const { x, linear, y, gate } = args;
  const { K, N } = linear;
  const M = productRows(args);
  if (x.shape.at(-1) !== K || y.elements !== M * N) {
    throw new KernelError(
      "bad-shape",
      `Cannot multiply [${x.shape}] by [${K}, ${N}] into [${y.shape}]`,
    );
  }
  if (!finishes(M, N, { ...args, bias: linear.bias })) {
    const [bias, factors] = [linear.bias, gate?.tensor].map((t) => t ? `[${t.shape}]` : "none");
    throw new KernelError(
      "bad-shape",
      `Cannot finish [${M}, ${N}] by ${args.epilogue ?? "none"} with bias ${bias}, gate ${factors}`,
    );
  }
  if (gate && (N % 4 || gate.offset % 4 || gate.stride % 4)) {
    throw new KernelError("bad-shape", `Cannot gate rows of ${N}: not divisible by 4`);
  }
  if (linear.weight instanceof Texture) return multiplyInTextures(device, args, M, linear.weight);
  const variant = args.variant ?? matmulVariant(device, args, M);
  switch (variant) {
    case "vector":
      return multiply(device, args, M, N);
    case "rows":
      return matmulRows(device, args);
    case "tiles":
      return matmulTiles(device, args);
    default:
      return matmulMatrix(device, args, variant);
  }
}

/** Fewest workgroups of tiles that keep a large GPU busy. */
const FEWEST_TILES = 128;

/** Chooses how to multiply by a weight in a buffer. */
function matmulVariant(device: Device, { linear, rows }: MatmulArgs, M: number): MatmulVariant {
  const { dtype, K, N } = linear;
  const obstacle = matrixObstacle(device, WEIGHT_FORMATS[dtype].float);
  if (!obstacle) return matrixRegime(device, K, N, rows ?? M, M);
  device.debug?.variant("matmul", "no matrices", obstacle);
  if (device.capabilities.class === "cpu") return "vector";
  return withoutMatrices(device, rows ?? M, K, N);
}

/** Chooses between kernels that share K in different ways: by the rows of one sequence, whatever the batch. */
function withoutMatrices(device: Device, rows: number, K: number, N: number): "rows" | "tiles" {
  const tiles = tileCount(2 * rows, N);
  const workgroups = tiles * tileParts(device, tiles, K);
  const obstacle = N <= NARROW
    ? `${N} columns are few for tiles`
    : workgroups < FEWEST_TILES
    ? `${workgroups} workgroups of tiles are too few`
    : null;
  if (obstacle) {
    device.debug?.variant("matmul", "rows", obstacle);
    return "rows";
  }
  return variantOf(device, "matmul", 2 * rows);
}

/** Multiplies by matmul.wgsl. */
function multiply(device: Device, product: Product, M: number, N: number): void {
  const { specialise, ...operands } = productDispatch(product);
  device.run(kernel, {
    specialise: { ...specialise, WG },
    ...operands,
    workgroups: [Math.ceil(Math.ceil(N / 4) / WG), ...grid(Math.ceil(M / ROWS))],
  });
}

/** Multiplies on software adapters: x is an image of one pixel per row, as many rows at a time as a texture holds. */
function multiplyInTextures(device: Device, args: MatmulArgs, M: number, weight: Texture): void {
  const { x, linear, y, epilogue = "none", gate, overflow } = args;
  const { K, N, dtype, scales, bias } = linear;
  device.debug?.variant("matmul", "texture", "a software adapter");
  // a multiple of 64, for the alignment of bindings
  const most = Math.max(1, Math.floor(textureTexels(device) / Math.ceil(K / 4) / 64)) * 64;
  for (let first = 0; first < M; first += most) {
    const rows = Math.min(most, M - first);
    const pixels = { height: 1, width: rows, inHeight: 1, inWidth: rows };
    matmulTexture(device, {
      x: x.reshape(M, K).rows(first, rows),
      channels: K,
      rows: { ...pixels, size: 1, stride: 1, padY: 0, padX: 0, upsample: false },
      M: rows,
      N,
      weight,
      dtype,
      scales,
      bias,
      y,
      first,
      epilogue,
      gate,
      overflow,
    });
  }
}
