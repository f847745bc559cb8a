import {
  defineKernel,
  type Device,
  ELEMENT_BYTES,
  grid,
  KernelError,
  type Tensor,
  type Texture,
  TEXTURE_WIDTH,
} from "../../engine/mod.ts";
import quantisedSource from "./pack_quantised.wgsl" with { type: "text" };
import floatSource from "./pack_weight.wgsl" with { type: "text" };

const floatKernel = defineKernel("pack_weight", floatSource, ["w", "packed"], [
  "K",
  "N",
  "columns",
  "first",
  "across",
  "down",
]);
const quantisedKernel = defineKernel(
  "pack_quantised",
  quantisedSource,
  ["w", "packed", "scales"],
  ["K", "N", "columns", "first", "across", "down", "scale_columns"],
);

/** pack_weight.wgsl's 4 weights of row n from column 4k on, zeros outside. */
const LOAD = {
  vec4: `fn load(n: u32, k: u32) -> vec4<f32> {
  let inside = n < params.N && 4 * k < params.K;
  return select(vec4(0.0), w[min(n, params.N - 1) * (params.K / 4) + min(k, params.K / 4 - 1)], inside);
}`,
  scalar: `fn at(n: u32, k: u32) -> f32 {
  return select(0.0, w[min(n, params.N - 1) * params.K + min(k, params.K - 1)], n < params.N && k < params.K);
}
fn load(n: u32, k: u32) -> vec4<f32> { return vec4(at(n, 4 * k), at(n, 4 * k + 1), at(n, 4 * k + 2), at(n, 4 * k + 3)); }`,
} as const;

/** Where vec4 `n` of row `k` of a packed weight goes: in rows, or in strips as wide as a subgroup. */
export function place(lanes: number): string {
  const at = lanes
    ? `(n / ${lanes} * params.columns + k) * ${lanes} + n % ${lanes}`
    : "k * params.columns + n";
  return `fn place(k: u32, n: u32) -> u32 { return ${at}; }`;
}

/**
 * How matrices are stored. `q8_0` and `q4_0` are blocks of 32 weights with one f16 scale, as in ggml: 8.5 and
 * 4.5 bits per weight.
 */
export type WeightType = "f32" | "f16" | "q8_0" | "q4_0";

/** All of them, largest first. */
export const WEIGHT_TYPES: readonly WeightType[] = ["f32", "f16", "q8_0", "q4_0"];

/** Whether weights are stored in blocks that share a scale. */
export function isQuantised(type: WeightType): type is "q8_0" | "q4_0" {
  return type === "q8_0" || type === "q4_0";
}

/** Weights that share one scale. */
export const BLOCK = 32;

/** A linear layer's weight and bias, packed once for {@link matmul}. */
export interface Linear {
  /**
   * Rows of K (q4_0: one for two k) by columns of 4 n, padded with zeros to whole blocks and vec4s: a tensor, or on
   * software adapters a texture of strips of columns, as wide as a subgroup and one behind the other.
   */
  readonly weight: Tensor | Texture;
  /** Storage type of the weight. */
  readonly dtype: WeightType;
  /** Four f16 per block and 4 n, of quantised weights; else none. */
  readonly scales: Tensor | null;
  /** [⌈N/4⌉·4] f32, or none. */
  readonly bias: Tensor | null;
  /** Input width. */
  readonly K: number;
  /** Output width. */
  readonly N: number;
}

/** Lanes whose shuffles take one instruction whatever the lane is (AVX2); others want constant lanes. */
export const ANY_LANE = 8;

/** Whether weights go to textures and a workgroup is one subgroup; see matmul_texture.wgsl. */
export function usesTexture({ capabilities }: Device): boolean {
  return capabilities.class === "cpu" && capabilities.subgroups && capabilities.subgroupSize > 0;
}

/** How a packed weight lies in memory. */
export interface PackedLayout {
  /** Width of the strips of a texture, or 0 for the rows of a buffer; see {@link place}. */
  readonly lanes: number;
  /** Vec4s of n, padded to whole strips. */
  readonly across: number;
  /** k, padded to what a step of matmul_texture.wgsl takes, or to a multiple of `multiple`. */
  readonly depth: number;
  /** Rows of vec4s that hold them. */
  readonly rows: number;
  /** What {@link place} calls params.columns. */
  readonly pitch: number;
  /** Vec4s in all, those that fill up a texture's last line counted. */
  readonly vectors: number;
}

/** The layout of K × 4 · `columns` weights, `perRow` of k in a row; in a buffer where no texture is as large. */
export function packedLayout(
  device: Device,
  K: number,
  columns: number,
  texture: boolean,
  multiple: number = 4,
  perRow: number = 1,
): PackedLayout {
  const lanes = texture ? device.capabilities.subgroupSize : 0;
  const across = lanes ? Math.ceil(columns / lanes) * lanes : columns;
  const step = Math.max(4 * lanes, multiple);
  const depth = Math.ceil(K / step) * step;
  const rows = depth / perRow;
  if (!lanes) return { lanes, across, depth, rows, pitch: columns, vectors: across * rows };
  const lines = Math.ceil(across * rows / TEXTURE_WIDTH);
  if (lines > device.gpu.limits.maxTextureDimension2D) {
    return packedLayout(device, K, columns, false, multiple, perRow);
  }
  return { lanes, across, depth, rows, pitch: rows, vectors: lines * TEXTURE_WIDTH };
}

/**
 * Packs weights [Nᵢ, K] f32, stacked along N, into the layout {@link matmul} reads, as `dtype`.
 * All but the last Nᵢ must be divisible by 4. The inputs may be disposed afterwards. `texture` chooses the variant;
 * by default what is fast on this adapter. What is too large for a texture stays a tensor.
 *
 * @throws {KernelError} `bad-shape`: the weights do not stack.
 */
export function packLinear(
  device: Device,
  weights: readonly Tensor[],
  bias: Tensor | null,
  dtype: WeightType = "f32",
  label: string = "linear weight",
  texture: boolean = usesTexture(device),
): Linear {
  const K = weights[0]!.shape[1]!;
  const N = weights.reduce((sum, w) => sum + w.shape[0]!, 0);
  const columns = Math.ceil(N / 4);
  const quantised = isQuantised(dtype);
  const texel = quantised ? 4 : dtype === "f16" ? 8 : 16;
  const { lanes, across, depth, pitch, vectors } = packedLayout(
    device,
    K,
    columns,
    texture,
    quantised ? BLOCK : 4,
    dtype === "q4_0" ? 2 : 1,
  );
  const elements = vectors * texel / ELEMENT_BYTES[quantised ? "u32" : dtype];
  const packed = device.tensor(quantised ? "u32" : dtype, [elements], label);
  const blocks = Math.ceil(K / BLOCK);
  const scales = quantised ? device.tensor("u32", [blocks, columns * 2], `${label} scales`) : null;
  let first = 0;
  for (const w of weights) {
    const n = w.shape[0]!;
    if (w.shape[1] !== K || first % 4 !== 0) {
      throw new KernelError("bad-shape", `Cannot stack [${w.shape}] into a weight of width ${K}`);
    }
    const own = first + n === N ? across - first / 4 : Math.ceil(n / 4);
    const params = { K, N: n, columns: pitch, first, across: own };
    if (scales) {
      const down = depth / BLOCK;
      device.run(quantisedKernel, {
        specialise: { BITS: dtype === "q8_0" ? 8 : 4 },
        functions: place(lanes),
        bind: { w, packed, scales },
        params: { ...params, down, scale_columns: columns },
        workgroups: grid(Math.ceil(own * down / 64)),
      });
    } else {
      const down = depth / 4;
      device.run(floatKernel, {
        specialise: { W: dtype, R: K % 4 === 0 ? "vec4<f32>" : "f32" },
        functions: `${place(lanes)}\n${K % 4 === 0 ? LOAD.vec4 : LOAD.scalar}`,
        bind: { w, packed },
        params: { ...params, down },
        workgroups: grid(Math.ceil(own * down / 64)),
      });
    }
    first += n;
  }
  const format = {
    f32: undefined,
    f16: undefined,
    q8_0: "rgba8snorm",
    q4_0: "rgba8unorm",
  } as const;
  const weight = lanes ? device.texture(packed, format[dtype], label) : packed;
  if (lanes) packed.dispose();
  return { weight, dtype, scales, bias, K, N };
}
