import type { Tensor } from "../../engine/mod.ts";
import type { Linear } from "../../kernels/linear/linear.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { blockKey } from "../checkpoint/tensor_shapes.ts";
import type { TransformerConfig } from "../config/types.ts";
import { loadPool, type PoolWeights } from "./pool_weights.ts";

/** Weights of one `CrossAttnBlock` (infinity/models/basic.py). */
export interface BlockWeights {
  /** `sa.mat_qkv` [3C, C] with bias q_bias | 0 | v_bias. */
  readonly qkv: Linear;
  /** `sa.scale_mul_1H11` [heads] f32, null without cosine attention. */
  readonly scaleMul: Tensor | null;
  /** `sa.proj` [C, C]. */
  readonly proj: Linear;
  /** `ca_norm.weight`, `ca_norm.bias` [C]. */
  readonly crossNorm: { readonly weight: Tensor; readonly bias: Tensor };
  /** `ca.mat_q` [C, C]. */
  readonly crossQ: Linear;
  /** `ca.mat_kv` [2C, C] with bias 0 | v_bias. */
  readonly crossKv: Linear;
  /** `ca.proj` [C, C]. */
  readonly crossProj: Linear;
  /** `ca_gamma` [C], null without layer scale. */
  readonly crossGamma: Tensor | null;
  /** `ffn.fc1` [F, C]. */
  readonly fc1: Linear;
  /** `ffn.fc2` [C, F]. */
  readonly fc2: Linear;
}

/** Weights of the Infinity transformer, described by the checkpoint's keys. */
export interface TransformerWeights {
  /** `cfg_uncond` [text_maxlen, Ct5]. */
  readonly cfgUncond: Tensor;
  /** `text_norm.weight` [Ct5]. */
  readonly textNorm: Tensor;
  /** `text_proj_for_sos.ca`. */
  readonly pool: PoolWeights;
  /** `text_proj_for_ca.0` and `.2`. */
  readonly textProj: readonly [Linear, Linear];
  /** `pos_start` [C]. */
  readonly posStart: Tensor;
  /** `lvl_embed.weight` [levels, C]. */
  readonly lvlEmbed: Tensor;
  /** `word_embed` [C, d]. */
  readonly wordEmbed: Linear;
  /** `shared_ada_lin.1` [6C, C]. */
  readonly sharedAda: Linear;
  /** `ada_gss` of all blocks [depth, 6C]. */
  readonly adaGss: Tensor;
  /** `head_nm.ada_lin.1` [2C, C]: scale, shift. */
  readonly headAda: Linear;
  /** `head` as logit differences [d, C]: row k gives logit 1 minus logit 0 of bit k. */
  readonly head: Linear;
  /** All blocks in order. */
  readonly blocks: readonly BlockWeights[];
}

/** Concatenates parts of `width` values each; null stands for zeros. */
function join(
  parts: readonly (Float32Array | null)[],
  width: number,
): Float32Array<ArrayBuffer> {
  const joined = new Float32Array(parts.length * width);
  parts.forEach((part, i) => part && joined.set(part, i * width));
  return joined;
}

/** Subtracts even rows from odd rows: a two-way softmax needs only the difference of a bit's two logits. */
function rowDifferences(values: Float32Array, width: number): Float32Array<ArrayBuffer> {
  const difference = new Float32Array(values.length / 2);
  for (let i = 0; i < difference.length; i++) {
    const at = Math.floor(i / width) * 2 * width + i % width;
    difference[i] = values[at + width]! - values[at]!;
  }
  return difference;
}

async function loadBlock(
  weights: Weights,
  config: TransformerConfig,
  key: string,
): Promise<BlockWeights> {
  const { embed_dim: C, ffn_hidden: F, num_heads: heads } = config;
  const vector = (name: string, width = C) => weights.host(`${key}.${name}`, [width]);
  const linear = (name: string, N: number, K: number) =>
    weights.linear(`${key}.${name}.weight`, [N, K], `${key}.${name}.bias`);
  const qkvBias = join([await vector("sa.q_bias"), null, await vector("sa.v_bias")], C);
  const kvBias = join([null, await vector("ca.v_bias")], C);
  return {
    qkv: await weights.linear(`${key}.sa.mat_qkv.weight`, [3 * C, C], qkvBias),
    scaleMul: config.cos_attn ? await weights.tensor(`${key}.sa.scale_mul_1H11`, [heads]) : null,
    proj: await linear("sa.proj", C, C),
    crossNorm: {
      weight: await weights.tensor(`${key}.ca_norm.weight`, [C]),
      bias: await weights.tensor(`${key}.ca_norm.bias`, [C]),
    },
    crossQ: await linear("ca.mat_q", C, C),
    crossKv: await weights.linear(`${key}.ca.mat_kv.weight`, [2 * C, C], kvBias),
    crossProj: await linear("ca.proj", C, C),
    crossGamma: config.cross_attn_layer_scale >= 0
      ? await weights.tensor(`${key}.ca_gamma`, [C])
      : null,
    fc1: await linear("ffn.fc1", F, C),
    fc2: await linear("ffn.fc2", C, F),
  };
}

/**
 * Loads the transformer by the official names.
 *
 * @throws {CheckpointError} A tensor is missing, or its shape contradicts config.json.
 */
export async function loadTransformer(
  weights: Weights,
  config: TransformerConfig,
): Promise<TransformerWeights> {
  const { embed_dim: C, text_channels: Ct, d_vae: d, depth } = config;
  const linear = (name: string, N: number, K: number) =>
    weights.linear(`${name}.weight`, [N, K], `${name}.bias`);
  const gss: Float32Array[] = [];
  const blocks: BlockWeights[] = [];
  // load the weights whose shapes differ between models first: a wrong checkpoint fails early
  const wordEmbed = await linear("word_embed", C, d);
  for (let i = 0; i < depth; i++) {
    const key = blockKey(config, i);
    gss.push(await weights.host(`${key}.ada_gss`, [6, C]));
    blocks.push(await loadBlock(weights, config, key));
  }
  const headWeight = rowDifferences(await weights.host("head.weight", [2 * d, C]), C);
  const headBias = rowDifferences(await weights.host("head.bias", [2 * d]), 1);
  return {
    cfgUncond: await weights.tensor("cfg_uncond", [config.text_maxlen, Ct]),
    textNorm: await weights.tensor("text_norm.weight", [Ct]),
    pool: await loadPool(weights, config),
    textProj: [await linear("text_proj_for_ca.0", C, Ct), await linear("text_proj_for_ca.2", C, C)],
    posStart: await weights.tensor("pos_start", [C]),
    lvlEmbed: await weights.tensor("lvl_embed.weight", [config.lvl_embed_rows, C]),
    wordEmbed,
    sharedAda: await linear("shared_ada_lin.1", 6 * C, C),
    adaGss: weights.upload(join(gss, 6 * C), [depth, 6 * C], "ada_gss"),
    headAda: await linear("head_nm.ada_lin.1", 2 * C, C),
    head: weights.pack(headWeight, [d, C], headBias, "head"),
    blocks,
  };
}
