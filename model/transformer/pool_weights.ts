import type { Tensor } from "../../engine/mod.ts";
import type { Linear } from "../../kernels/linear/linear.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { TransformerConfig } from "../config/types.ts";

/** Weights of the text's attentive pooling, `text_proj_for_sos.ca` (infinity.py, TextAttentivePool). */
export interface PoolWeights {
  /** `mat_q`, one learnt query [heads, headDim]. */
  readonly query: Tensor;
  /** `mat_kv` [2 · heads · headDim, Ct5] with bias 0 | v_bias. */
  readonly kv: Linear;
  /** `proj` [C, heads · headDim]. */
  readonly proj: Linear;
  /** Channels per head, padded with zeros to a multiple of 4: the 130 of layer32 become 132. */
  readonly headDim: number;
}

/**
 * Loads the pooling. Padding is exact: the zeros in queries, keys, values and the columns that read them add nothing.
 *
 * @throws {CheckpointError} A tensor is missing, or its shape contradicts config.json.
 */
export async function loadPool(weights: Weights, config: TransformerConfig): Promise<PoolWeights> {
  const { embed_dim: C, text_channels: Ct, text_attn_pool_heads: heads } = config;
  const name = "text_proj_for_sos.ca";
  const size = C / heads;
  const headDim = Math.ceil(size / 4) * 4;
  const inner = heads * headDim;
  const valueBias = await weights.host(`${name}.v_bias`, [C]);
  const kvBias = new Float32Array(2 * inner);
  kvBias.set(padGroups(valueBias, size, headDim), inner);
  if (headDim === size) {
    return {
      query: await weights.tensor(`${name}.mat_q`, [heads, size]),
      kv: await weights.linear(`${name}.mat_kv.weight`, [2 * C, Ct], kvBias),
      proj: await weights.linear(`${name}.proj.weight`, [C, C], `${name}.proj.bias`),
      headDim,
    };
  }
  const query = padGroups(await weights.host(`${name}.mat_q`, [heads, size]), size, headDim);
  const kv = await weights.host(`${name}.mat_kv.weight`, [2 * C, Ct]);
  const proj = await weights.host(`${name}.proj.weight`, [C, C]);
  const bias = await weights.host(`${name}.proj.bias`, [C]);
  return {
    query: weights.upload(query, [heads, headDim], `${name}.mat_q`),
    kv: weights.pack(padGroups(kv, size * Ct, headDim * Ct), [2 * inner, Ct], kvBias, name),
    proj: weights.pack(padGroups(proj, size, headDim), [C, inner], bias, `${name}.proj`),
    headDim,
  };
}

/** Pads every group of `from` values with zeros to `to`. */
function padGroups(values: Float32Array, from: number, to: number): Float32Array<ArrayBuffer> {
  const padded = new Float32Array(values.length / from * to);
  for (let at = 0, i = 0; at < values.length; at += from, i++) {
    padded.set(values.subarray(at, at + from), i * to);
  }
  return padded;
}
