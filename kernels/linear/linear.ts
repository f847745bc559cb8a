import {
  defineKernel,
  type Device,
  ELEMENT_BYTES,
  grid,
  KernelError,
  type Tensor,
  TEXEL_BYTES,
  type Texture,
} from "../../engine/mod.ts";
import { usesTexture } from "../shared/textures.ts";
import { packedIndex, packedLayout } from "./packed_layout.ts";
import { QUANTISED_BLOCK, WEIGHT_FORMATS, type WeightType } from "./weight_types.ts";
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

/** pack_weight.wgsl's load(n, k): 4 weights of row n from column 4k on, zeros outside. */
const LOAD = {
  vec4: `fn load(n: u32, k: u32) -> vec4<f32> {
  let inside = n < params.N && 4 * k < params.K;
  return select(vec4(0.0), w[min(n, params.N - 1) * (params.K / 4) + min(k, params.K / 4 - 1)], inside);
}`,
  scalar: `fn at(n: u32, k: u32) -> f32 {
  return select(0.0, w[min(n, params.N - 1) * params.K + min(k, params.K - 1)], n < params.N && k < params.K);
}
fn load(n: u32, k: u32) -> vec4<f32> {
  return vec4(at(n, 4 * k), at(n, 4 * k + 1), at(n, 4 * k + 2), at(n, 4 * k + 3));
}`,
} as const;

/** A linear layer's weight and bias, packed once for {@link matmul}. */
export interface Linear {
  /**
   * Rows of K by columns of 4 n, padded with zeros to whole blocks and vec4s: a tensor, or on software adapters a
   * texture of strips of columns, each as wide as a subgroup, one after the other.
   */
  readonly weight: Tensor | Texture;
  /** Storage type of the weight. */
  readonly dtype: WeightType;
  /** Quantised weights: four f16 for each block and 4 n, as [⌈K/32⌉, 2·⌈N/4⌉] u32. Null otherwise. */
  readonly scales: Tensor | null;
  /** [⌈N/4⌉·4] f32, or null. */
  readonly bias: Tensor | null;
  /** Input width. */
  readonly K: number;
  /** Output width. */
  readonly N: number;
}

/**
 * Packs weights [Nᵢ, K] f32, stacked along N, into the layout {@link matmul} reads, as `dtype`.
 * Every Nᵢ but the last must be divisible by 4. The inputs may be disposed afterwards. `texture` chooses the variant;
 * the default is what is fast on this adapter. A weight that no texture can hold stays a tensor.
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
  const format = WEIGHT_FORMATS[dtype];
  const { quantisation } = format;
  const multiple = quantisation ? QUANTISED_BLOCK : 4; // of k that an invocation packs
  const { lanes, across, depth, pitch, vectors } = packedLayout(
    device,
    K,
    columns,
    texture,
    multiple,
    format.rowsPerElement,
  );
  const elements = vectors * TEXEL_BYTES[format.texel] / ELEMENT_BYTES[format.dtype];
  const packed = device.tensor(format.dtype, [elements], label, "weights");
  const blocks = Math.ceil(K / QUANTISED_BLOCK);
  const scales = quantisation
    ? device.tensor("u32", [blocks, columns * 2], `${label} scales`, "weights")
    : null;
  const down = depth / multiple;
  const index = packedIndex(lanes);
  let first = 0;
  for (const w of weights) {
    const n = w.shape[0]!;
    if (w.shape[1] !== K || first % 4 !== 0) {
      throw new KernelError("bad-shape", `Cannot stack [${w.shape}] into a weight of width ${K}`);
    }
    const own = first + n === N ? across - first / 4 : Math.ceil(n / 4);
    const params = { K, N: n, columns: pitch, first, across: own, down };
    const workgroups = grid(Math.ceil(own * down / 64));
    if (quantisation) {
      const { bits, least, most, extreme, zero } = quantisation;
      device.run(quantisedKernel, {
        specialise: { BITS: bits, LEAST: least, MOST: most, EXTREME: extreme, ZERO: zero },
        functions: index,
        bind: { w, packed, scales },
        params: { ...params, scale_columns: columns },
        workgroups,
      });
    } else {
      const vectors = K % 4 === 0;
      device.run(floatKernel, {
        specialise: { W: format.dtype, R: vectors ? "vec4<f32>" : "f32" },
        functions: `${index}\n${vectors ? LOAD.vec4 : LOAD.scalar}`,
        bind: { w, packed },
        params,
        workgroups,
      });
    }
    first += n;
  }
  const weight = lanes ? device.texture(packed, format.texel, label, "weights") : packed;
  if (lanes) packed.dispose();
  return { weight, dtype, scales, bias, K, N };
}
