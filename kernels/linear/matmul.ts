import { defineKernel, type Device, grid, KernelError, Texture } from "../../engine/mod.ts";
import { matmulMatrix } from "./matmul_matrix.ts";
import { matmulRows } from "./matmul_rows.ts";
import { matmulTexture } from "./matmul_texture.ts";
import { matmulTiles, type TilesVariant } from "./matmul_tiles.ts";
import { BINDINGS, PARAMS, type Product, productDispatch, productRows } from "./product.ts";
import { WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
import { type MatrixVariant, matrixVariant } from "../shared/matrix.ts";
import { textureTexels } from "../shared/textures.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./matmul.wgsl" with { type: "text" };

export type { Epilogue, Gate } from "./epilogue.ts";

const kernel = defineKernel("matmul", source, BINDINGS, PARAMS);

/** Rows of y that one invocation of matmul.wgsl makes. */
const ROWS = 8;
/** Invocations of a workgroup. */
const WG = 64;

/** Also `rows`: K shared by the invocations of a workgroup; `tiles64` and `tiles128`: tiles in workgroup memory. */
export type MatmulVariant = MatrixVariant | "rows" | TilesVariant;

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
  if (M !== Math.floor(M) || y.elements !== M * N) {
    throw new KernelError(
      "bad-shape",
      `Cannot multiply [${x.shape}] by [${K}, ${N}] into [${y.shape}]`,
    );
  }
  if (gate && (N % 4 || gate.offset % 4 || gate.stride % 4)) {
    throw new KernelError("bad-shape", `Cannot gate rows of ${N}: not divisible by 4`);
  }
  if (linear.weight instanceof Texture) return multiplyInTextures(device, args, M, linear.weight);
  const variant = args.variant ?? matmulVariant(device, linear.dtype, M, N);
  switch (variant) {
    case "vector":
      return multiply(device, args, M, N);
    case "rows":
      return matmulRows(device, args);
    case "tiles64":
    case "tiles128":
      return matmulTiles(device, args, variant);
    default:
      return matmulMatrix(device, args, variant);
  }
}

/** Chooses how to multiply by a weight in a buffer. */
function matmulVariant(device: Device, dtype: WeightType, M: number, N: number): MatmulVariant {
  const variant = matrixVariant(device, "matmul", WEIGHT_FORMATS[dtype].float, M, N);
  if (variant !== "vector") return variant;
  const side = variantOf(device, "matmul tiles", M);
  return side === "registers" ? "vector" : `tiles${side}`;
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
  const { x, linear, y, epilogue = "none", gate } = args;
  const { K, N, dtype, scales, bias } = linear;
  device.debug?.variant("matmul", "texture", "a software adapter");
  // a multiple of 64, for the alignment of bindings
  const most = Math.floor(textureTexels(device) / Math.ceil(K / 4) / 64) * 64;
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
    });
  }
}
