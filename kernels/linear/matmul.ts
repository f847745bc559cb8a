import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Specialisation,
  type Tensor,
  Texture,
} from "../../engine/mod.ts";
import { type Epilogue, EPILOGUES, type Gate } from "./epilogue.ts";
import type { Linear } from "./linear.ts";
import { matmulTexture } from "./matmul_texture.ts";
import { tileLines, tiles, type TilesVariant } from "./matmul_tiles.ts";
import { WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
import { accessY, readX } from "../shared/access.ts";
import { matrices, matrixLines, type MatrixVariant, matrixVariant } from "../shared/matrix.ts";
import { textureTexels } from "../shared/textures.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./matmul.wgsl" with { type: "text" };
import matrixSource from "./matmul_matrix.wgsl" with { type: "text" };
import tilesSource from "./matmul_tiles.wgsl" with { type: "text" };

export type { Epilogue, Gate } from "./epilogue.ts";

const BINDINGS = ["x", "w", "scales", "bias", "gate", "y"] as const;
const PARAMS = ["M", "K", "N", "rows_per_gate", "gate_stride", "gate_offset"] as const;
const kernel = defineKernel("matmul", source, BINDINGS, PARAMS);
const matrixKernel = defineKernel("matmul_matrix", matrixSource, BINDINGS, PARAMS);
const tilesKernel = defineKernel("matmul_tiles", tilesSource, BINDINGS, PARAMS);

/** Rows of y that one invocation of matmul.wgsl makes. */
const ROWS = 8;
/** Invocations of a workgroup. */
const WG = 64;

/** Also `tiles64` and `tiles128`: like `vector`, but by tiles in workgroup memory. */
export type MatmulVariant = MatrixVariant | TilesVariant;

/** Arguments of {@link matmul}. */
export interface MatmulArgs {
  /** [M, K] f32 or f16; M may be several axes. */
  readonly x: Tensor;
  /** Packed weight and bias. */
  readonly linear: Linear;
  /** [M, N] f32 or f16. */
  readonly y: Tensor;
  /** `none` if absent. */
  readonly epilogue?: Epilogue;
  /** For the epilogue `gate`. Offset, stride and N are divisible by 4. */
  readonly gate?: Gate;
  /** How to multiply by a weight in a buffer; chosen by the adapter if absent. */
  readonly variant?: MatmulVariant;
}

/**
 * Computes y = epilogue(x · Wᵀ + b), every linear layer (`torch.nn.Linear`), with f32 sums.
 *
 * @throws {KernelError} `bad-shape`: shapes do not match.
 */
export function matmul(device: Device, args: MatmulArgs): void {
  const { x, linear, y, epilogue = "none", gate } = args;
  const { K, N } = linear;
  const M = x.elements / K;
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
  const read = readX(x.dtype, K, "K");
  const access = accessY(y.dtype, N % 4 === 0);
  const specialise = { X: read.type, Y: access.type, W: WEIGHT_FORMATS[linear.dtype].element };
  const lines = prelude(read.lines, access.lines, linear.bias !== null, epilogue, linear.dtype);
  const variant = args.variant ?? matmulVariant(device, linear.dtype, M, N);
  const launch = launchOf(device, variant, lines, M, N);
  device.run(launch.kernel, {
    specialise: { ...specialise, ...launch.specialise },
    functions: launch.functions,
    bind: {
      x,
      w: linear.weight,
      scales: linear.scales,
      bias: linear.bias,
      gate: gate?.tensor ?? null,
      y,
    },
    params: {
      M,
      K,
      N,
      rows_per_gate: gate?.rows ?? 1,
      gate_stride: (gate?.stride ?? 0) / 4,
      gate_offset: (gate?.offset ?? 0) / 4,
    },
    workgroups: launch.workgroups,
    work: { shape: [M, K, N], flops: 2 * M * K * N },
  });
}

/** Chooses how to multiply by a weight in a buffer. */
function matmulVariant(device: Device, dtype: WeightType, M: number, N: number): MatmulVariant {
  const variant = matrixVariant(device, "matmul", WEIGHT_FORMATS[dtype].float, M, N);
  if (variant !== "vector") return variant;
  const side = variantOf(device, "matmul tiles", M);
  return side === "registers" ? "vector" : `tiles${side}`;
}

/** Returns the kernel of a variant, with its prelude and workgroups. */
function launchOf(
  device: Device,
  variant: MatmulVariant,
  lines: string,
  M: number,
  N: number,
): {
  kernel: typeof kernel;
  specialise: Specialisation;
  functions: string;
  workgroups: [number, number, number];
} {
  switch (variant) {
    case "vector":
      return {
        kernel,
        specialise: { WG },
        functions: lines,
        workgroups: [Math.ceil(Math.ceil(N / 4) / WG), ...grid(Math.ceil(M / ROWS))],
      };
    case "tiles64":
    case "tiles128":
      return {
        kernel: tilesKernel,
        functions: tilesPrelude(lines, variant),
        ...tiles(variant, M, N),
      };
    default: {
      const { specialise, lineArgs, workgroups } = matrices(device, variant, M, N);
      return {
        kernel: matrixKernel,
        specialise,
        functions: matrixPrelude(lines, ...lineArgs),
        workgroups,
      };
    }
  }
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

/** Returns all prelude lines of matmul_matrix.wgsl. */
const matrixPrelude = memoised((
  lines: string,
  ...lineArgs: Parameters<typeof matrixLines>
): string => `${matrixLines(...lineArgs)}\n${lines}`);

/** Returns all prelude lines of matmul_tiles.wgsl. */
const tilesPrelude = memoised((lines: string, variant: TilesVariant): string =>
  `${tileLines(variant)}\n${lines}`
);

/** Returns all prelude lines of matmul.wgsl, which the others share. */
const prelude = memoised((
  read: string,
  access: string,
  bias: boolean,
  epilogue: Epilogue,
  dtype: WeightType,
): string =>
  [
    read,
    access,
    `fn epilogue(m: u32, n: u32, sum: vec4<f32>) -> vec4<f32> { let v = sum${
      bias ? " + bias[n]" : ""
    }; ${EPILOGUES[epilogue]} }`,
    LOAD_W[dtype],
    WEIGHT_FORMATS[dtype].quantisation ? LOAD_SCALE : "",
  ].join("\n")
);

const LOAD_FLOATS = `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let at = 4 * k * columns + n;
  return mat4x4(vec4<f32>(w[at]), vec4<f32>(w[at + columns]), vec4<f32>(w[at + 2 * columns]), vec4<f32>(w[at + 3 * columns]));
}`;

/** WGSL that loads 4 columns of 4 rows of weights, from row 4k on, by storage type. */
const LOAD_W: Readonly<Record<WeightType, string>> = {
  f32: LOAD_FLOATS,
  f16: LOAD_FLOATS,
  q8_0: `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let s = load_scale(k / 8, n);
  let at = 4 * k * columns + n;
  return mat4x4(s * vec4<f32>(unpack4xI8(w[at])), s * vec4<f32>(unpack4xI8(w[at + columns])),
    s * vec4<f32>(unpack4xI8(w[at + 2 * columns])), s * vec4<f32>(unpack4xI8(w[at + 3 * columns])));
}`,
  q4_0: `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let s = load_scale(k / 8, n);
  let a = w[2 * k * columns + n];
  let b = w[(2 * k + 1) * columns + n];
  return mat4x4(s * nibbles(a), s * nibbles(a >> 4), s * nibbles(b), s * nibbles(b >> 4));
}
fn nibbles(v: u32) -> vec4<f32> { return vec4<f32>(unpack4xU8(v & 0x0f0f0f0f)) - 8; }`,
};

/** WGSL that loads the scales of 4 columns in a block of 32 k. */
const LOAD_SCALE = `fn load_scale(block: u32, n: u32) -> vec4<f32> {
  let halves = scales[block * ((params.N + 3) / 4) + n];
  return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}`;
