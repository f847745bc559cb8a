/**
 * Names and shapes of the tensors that a model's checkpoint must hold, derived from its config alone.
 *
 * @module
 */

import type { T5Config, TransformerConfig, VaeConfig } from "../config/types.ts";

/** Returns the prefix of block `index` in the checkpoint. */
export function blockKey(config: TransformerConfig, index: number): string {
  if (config.block_chunks === 1) return `blocks.${index}`;
  const size = config.depth / config.block_chunks;
  return `block_chunks.${Math.floor(index / size)}.module.${index % size}`;
}

/** A tensor's name in the checkpoint, and its shape there. */
export type NamedShape = readonly [name: string, shape: readonly number[]];

/** `name.weight` [N, K] and `name.bias` [N]. */
function* linear(name: string, N: number, K: number): Generator<NamedShape> {
  yield [`${name}.weight`, [N, K]];
  yield [`${name}.bias`, [N]];
}

/** Counts the parameters of all `shapes`. */
export function countParameters(shapes: Iterable<NamedShape>): number {
  let sum = 0;
  for (const [, shape] of shapes) sum += shape.reduce((product, size) => product * size, 1);
  return sum;
}

/** Lists the transformer's tensors (infinity/models/infinity.py, Infinity), without its constant buffers. */
export function* parameterShapes(config: TransformerConfig): Generator<NamedShape> {
  const { embed_dim: C, text_channels: Ct, d_vae: d, ffn_hidden: F, num_heads: H } = config;
  const pool = config.text_attn_pool_heads;
  yield ["cfg_uncond", [config.text_maxlen, Ct]];
  yield ["text_norm.weight", [Ct]];
  yield ["text_proj_for_sos.ca.mat_q", [1, pool, C / pool]];
  yield ["text_proj_for_sos.ca.mat_kv.weight", [2 * C, Ct]];
  yield ["text_proj_for_sos.ca.v_bias", [C]];
  yield* linear("text_proj_for_sos.ca.proj", C, C);
  yield* linear("text_proj_for_ca.0", C, Ct);
  yield* linear("text_proj_for_ca.2", C, C);
  yield ["pos_start", [1, 1, C]];
  yield ["lvl_embed.weight", [config.lvl_embed_rows, C]];
  yield* linear("word_embed", C, d);
  yield* linear("shared_ada_lin.1", 6 * C, C);
  for (let i = 0; i < config.depth; i++) {
    const key = blockKey(config, i);
    yield [`${key}.ada_gss`, [1, 1, 6, C]];
    if (config.cross_attn_layer_scale >= 0) yield [`${key}.ca_gamma`, [C]];
    yield [`${key}.sa.mat_qkv.weight`, [3 * C, C]];
    yield [`${key}.sa.q_bias`, [C]];
    yield [`${key}.sa.v_bias`, [C]];
    if (config.cos_attn) yield [`${key}.sa.scale_mul_1H11`, [1, H, 1, 1]];
    yield* linear(`${key}.sa.proj`, C, C);
    yield [`${key}.ca_norm.weight`, [C]];
    yield [`${key}.ca_norm.bias`, [C]];
    yield* linear(`${key}.ca.mat_q`, C, C);
    yield [`${key}.ca.mat_kv.weight`, [2 * C, C]];
    yield [`${key}.ca.v_bias`, [C]];
    yield* linear(`${key}.ca.proj`, C, C);
    yield* linear(`${key}.ffn.fc1`, F, C);
    yield* linear(`${key}.ffn.fc2`, C, F);
  }
  yield* linear("head_nm.ada_lin.1", 2 * C, C);
  yield* linear("head", 2 * d, C);
}

/** Lists a VAE's tensors, encoder and decoder (infinity/models/bsq_vae/flux_vqgan.py, AutoEncoder). */
export function* vaeShapes(config: VaeConfig): Generator<NamedShape> {
  const { base_ch, encoder_ch_mult, decoder_ch_mult, num_res_blocks, codebook_dim: d } = config;
  const halvings = Math.log2(config.patch_size);

  let channels = base_ch;
  yield* conv("encoder.conv_in", 3, channels);
  for (const [i, mult] of encoder_ch_mult.entries()) {
    for (let k = 0; k < num_res_blocks; k++) {
      yield* resBlock(`encoder.down.${i}.block.${k}`, channels, base_ch * mult);
      channels = base_ch * mult;
    }
    if (i < halvings) yield* conv(`encoder.down.${i}.downsample.conv`, channels, channels);
  }
  yield* middle("encoder", channels);
  yield* norm("encoder.norm_out", channels);
  yield* conv("encoder.conv_out", channels, d);

  channels = base_ch * decoder_ch_mult.at(-1)!;
  yield* conv("decoder.conv_in", d, channels);
  yield* middle("decoder", channels);
  for (const [i, mult] of [...decoder_ch_mult.entries()].reverse()) {
    for (let k = 0; k <= num_res_blocks; k++) {
      yield* resBlock(`decoder.up.${i}.block.${k}`, channels, base_ch * mult);
      channels = base_ch * mult;
    }
    if (i >= 1 && i <= halvings) yield* conv(`decoder.up.${i}.upsample.conv`, channels, channels);
  }
  yield* norm("decoder.norm_out", channels);
  yield* conv("decoder.conv_out", channels, 3);
}

function* conv(name: string, C: number, N: number, size = 3): Generator<NamedShape> {
  yield [`${name}.conv.weight`, [N, C, size, size]];
  yield [`${name}.conv.bias`, [N]];
}

function* norm(name: string, C: number): Generator<NamedShape> {
  yield [`${name}.norm.weight`, [C]];
  yield [`${name}.norm.bias`, [C]];
}

function* resBlock(name: string, C: number, N: number): Generator<NamedShape> {
  yield* norm(`${name}.norm1`, C);
  yield* conv(`${name}.conv1`, C, N);
  yield* norm(`${name}.norm2`, N);
  yield* conv(`${name}.conv2`, N, N);
  if (C !== N) yield* conv(`${name}.nin_shortcut`, C, N, 1);
}

function* middle(name: string, C: number): Generator<NamedShape> {
  for (const block of ["block_1", "block_2"]) yield* resBlock(`${name}.mid.${block}`, C, C);
}

/** Lists the text encoder's tensors by their Hugging Face names (T5EncoderModel). */
export function* t5Shapes(config: T5Config): Generator<NamedShape> {
  const { d_model: C, d_ff: F, num_heads: H } = config;
  const inner = H * config.d_kv;
  yield ["shared.weight", [config.vocab_size, C]];
  for (let i = 0; i < config.num_layers; i++) {
    const key = `encoder.block.${i}.layer`;
    for (const name of ["q", "k", "v"]) {
      yield [`${key}.0.SelfAttention.${name}.weight`, [inner, C]];
    }
    yield [`${key}.0.SelfAttention.o.weight`, [C, inner]];
    if (i === 0) {
      const buckets = config.relative_attention_num_buckets;
      yield [`${key}.0.SelfAttention.relative_attention_bias.weight`, [buckets, H]];
    }
    yield [`${key}.0.layer_norm.weight`, [C]];
    yield [`${key}.1.DenseReluDense.wi_0.weight`, [F, C]];
    yield [`${key}.1.DenseReluDense.wi_1.weight`, [F, C]];
    yield [`${key}.1.DenseReluDense.wo.weight`, [C, F]];
    yield [`${key}.1.layer_norm.weight`, [C]];
  }
  yield ["encoder.final_layer_norm.weight", [C]];
}
