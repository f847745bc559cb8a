import { parseConfig } from "../../../model/config/config.ts";
import type { ModelConfig } from "../../../model/config/types.ts";

/** A tiny model with patchify: a token is a square of four positions, as in the 8B model. */
export const PATCHIFY: ModelConfig = parseConfig({
  name: "patched",
  scale_schedule: [[1, 1, 1], [1, 2, 2], [1, 2, 3]],
  vae: {
    base_ch: 8,
    encoder_ch_mult: [1, 2],
    decoder_ch_mult: [1, 2],
    num_res_blocks: 1,
    patch_size: 2,
    codebook_dim: 5,
    z_channels: 5,
    norm_groups: 4,
  },
  transformer: {
    embed_dim: 64,
    depth: 2,
    num_heads: 2,
    block_chunks: 2,
    text_channels: 64,
    text_maxlen: 16,
    text_attn_pool_heads: 1,
    d_vae: 20,
    apply_spatial_patchify: true,
    lvl_embed_rows: 4,
  },
  text_encoder: {
    vocab_size: 64,
    d_model: 64,
    num_layers: 1,
    num_heads: 2,
    d_kv: 32,
    d_ff: 64,
    feed_forward_proj: "gated-gelu",
  },
}, "patched");
