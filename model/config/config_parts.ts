import { ConfigReader } from "./config_reader.ts";
import { roundHalfEven } from "./round_half_even.ts";
import type { T5Config, TransformerConfig, VaeConfig } from "./types.ts";

/** Whole numbers from 1. What a file claims must stay far from what overflows or fills a host: no model comes near. */
const upTo = (max: number) => ({ min: 1, max });
const WIDTH = upTo(2 ** 16);
const WIDE = upTo(2 ** 18);
const COUNT = upTo(1024);
/** Of either sign. */
export const REAL = { min: -1e6, max: 1e6, real: true } as const;
/** Of a prompt. */
export const TEXT_TOKENS = upTo(2 ** 16);
const POSITIVE_REAL = { above: 0, max: 1e9, real: true } as const;

/**
 * Reads the `transformer` object of a config.json. Also accepts the official arguments, which keep
 * RoPE's settings at the top level instead of in `rope`.
 *
 * @param d Bits per token of the VAE, the default of `d_vae`.
 * @throws {ConfigError} A value has the wrong type, is impossible, or selects a variant that is not
 * implemented.
 */
export function parseTransformer(json: unknown, where: string, d = 32): TransformerConfig {
  const t = new ConfigReader(json, where, "transformer");
  for (const key of ["rms_norm", "swiglu", "nm0", "cross_attn_cos"]) t.only(key, false, 0);
  for (const key of ["shared_aln", "head_aln"]) t.only(key, true, 1);
  for (const key of ["use_bit_label", "head_depth", "tau"]) t.only(key, 1, true);
  t.only("gelu", "tanh");

  const embed_dim = t.number("embed_dim", 2048, WIDTH);
  const depth = t.number("depth", 32, COUNT);
  const num_heads = t.number("num_heads", Math.max(1, Math.floor(embed_dim / 128)), WIDTH);
  checkHeads(t, "num_heads", num_heads, embed_dim);
  const mlp_ratio = t.number("mlp_ratio", 4, { ...POSITIVE_REAL, max: 64 });
  const hidden = Math.max(1, roundHalfEven(mlp_ratio * embed_dim / 256)) * 256;
  const ffn_hidden = t.number("ffn_hidden", hidden, { ...WIDE, min: 4 });
  if (embed_dim % 4) t.refuse("embed_dim", embed_dim, "divisible by 4");
  if (ffn_hidden % 4) t.refuse("ffn_hidden", ffn_hidden, "divisible by 4");
  const block_chunks = t.number("block_chunks", depth % 8 ? 1 : 8, COUNT);
  if (depth % block_chunks) {
    t.refuse("block_chunks", block_chunks, `a divisor of depth ${depth}`);
  }

  const text_channels = t.number("text_channels", 2048, WIDTH);
  if (text_channels % 4) t.refuse("text_channels", text_channels, "divisible by 4");
  const pool = Math.max(1, Math.floor(text_channels / (embed_dim > 4096 ? 64 : 128)));
  const text_attn_pool_heads = t.number("text_attn_pool_heads", pool, WIDTH);
  checkHeads(t, "text_attn_pool_heads", text_attn_pool_heads, embed_dim);

  const rope = t.has("rope") ? t.object("rope") : t;
  rope.only("rope2d_each_sa_layer", 1, true);
  const mode = rope.number("rope2d_normalized_by_hw", 2, { min: 0, max: 2 }) as 0 | 1 | 2;
  const grid = rope.has("reference_grid") ? rope.list("reference_grid", [], WIDTH) : undefined;
  if (grid && grid.length !== 2) rope.refuse("reference_grid", grid, "[height, width]");
  const base = rope.number(rope === t ? "rope_base" : "base", 10000, POSITIVE_REAL);

  return {
    embed_dim,
    depth,
    num_heads,
    mlp_ratio,
    ffn_hidden,
    block_chunks,
    norm_eps: t.number("norm_eps", 1e-6, POSITIVE_REAL),
    cos_attn: t.flag("cos_attn", true),
    text_channels,
    text_maxlen: t.number("text_maxlen", 512, TEXT_TOKENS),
    text_attn_pool_heads,
    d_vae: t.number("d_vae", d, upTo(4096)),
    apply_spatial_patchify: t.flag("apply_spatial_patchify", false),
    add_lvl_embeding_only_first_block: t.flag("add_lvl_embeding_only_first_block", true),
    lvl_embed_rows: t.number("lvl_embed_rows", 15, COUNT),
    cross_attn_layer_scale: t.number("cross_attn_layer_scale", -1, REAL),
    head_aln: true,
    shared_aln: true,
    rope: { mode, base, ...grid && { reference_grid: [grid[0], grid[1]] as const } },
  };
}

/** Channels per head must be a multiple of 4: kernels read vec4, and RoPE rotates pairs for rows and for columns. */
function checkHeads(t: ConfigReader, key: string, heads: number, embed_dim: number): void {
  const size = embed_dim / heads;
  // heads of the text pooling are padded with zeros where necessary
  const step = key === "num_heads" ? 4 : 1;
  if (!Number.isInteger(size)) {
    t.refuse(key, heads, `a divisor of embed_dim ${embed_dim}`);
  }
  if (size % step || size > 256) {
    const found = `${embed_dim} / ${heads} = ${size}`;
    const need = step === 1 ? "at most 256" : `a multiple of ${step} up to 256`;
    t.refuse(key, heads, `such that embed_dim / ${key}, here ${found}, is ${need}`);
  }
}

/**
 * Reads the `vae` object of a config.json.
 *
 * @param patchify Whether a token of the transformer stands for 2×2 positions.
 * @throws {ConfigError} As {@linkcode parseTransformer}.
 */
export function parseVae(json: unknown, where: string, patchify = false): VaeConfig {
  const v = new ConfigReader(json, where, "vae");
  v.only("cnn_type", "2d");
  v.only("cnn_attention", false, 0, "no");
  v.only("norm", "group");
  v.only("activation", "silu", "swish");
  const q = v.object("quantizer");
  q.only("type", "MultiScaleBSQ");
  q.only("l2_normalize_before_sign", true, 1);
  for (const key of ["project_in", "project_out", "layernorm"]) q.only(key, false, 0);

  const base_ch = v.number("base_ch", 128, upTo(4096));
  const released = patchify ? [1, 2, 4, 4] : [1, 2, 4, 4, 4];
  const decoder_ch_mult = v.list(
    "decoder_ch_mult",
    v.list("ch_mult", released, upTo(64)),
    upTo(64),
  );
  const encoder_ch_mult = v.list(
    "encoder_ch_mult",
    v.list("ch_mult", released, upTo(64)),
    upTo(64),
  );
  const patch_size = v.number("patch_size", patchify ? 8 : 16, COUNT);
  const doublings = Math.log2(patch_size);
  if (!Number.isInteger(doublings)) v.refuse("patch_size", patch_size, "a power of 2");
  const norm_groups = v.number("norm_groups", 32, WIDTH);
  for (const [key, mult] of Object.entries({ decoder_ch_mult, encoder_ch_mult })) {
    if (mult.length <= doublings) {
      const need = `a list of at least ${doublings + 1}, to halve by patch_size ${patch_size}`;
      v.refuse(key, mult, need);
    }
    const odd = [1, ...mult].map((m) => m * base_ch).find((ch) => ch % norm_groups && ch % 24);
    if (odd !== undefined) {
      v.refuse("base_ch", base_ch, `such that ${odd} channels form ${norm_groups} or 24 groups`);
    }
  }
  const codebook_dim = v.number("codebook_dim", patchify ? 14 : 32, COUNT);
  if (v.number("z_channels", codebook_dim) !== codebook_dim) {
    v.refuse("z_channels", v.raw("z_channels"), `codebook_dim ${codebook_dim}`);
  }
  v.only("in_channels", 3);
  v.only("out_channels", 3);
  return {
    base_ch,
    encoder_ch_mult,
    decoder_ch_mult,
    num_res_blocks: v.number("num_res_blocks", 2, upTo(64)),
    patch_size,
    codebook_dim,
    norm_groups,
    norm_eps: v.number("norm_eps", 1e-6, POSITIVE_REAL),
  };
}

/**
 * Reads the `text_encoder` object of a config.json, or the Hugging Face config.json of a T5.
 *
 * @throws {ConfigError} As {@linkcode parseTransformer}.
 */
export function parseT5(json: unknown, where: string): T5Config {
  const t = new ConfigReader(json, where, "text_encoder");
  t.only("feed_forward_proj", "gated-gelu");
  t.only("attention_scale", 1);
  const d_kv = t.number("d_kv", 64, WIDTH);
  if (d_kv % 4 || d_kv > 256) t.refuse("d_kv", d_kv, "a multiple of 4 up to 256");
  const config = {
    vocab_size: t.number("vocab_size", 32128, upTo(2 ** 22)),
    d_model: t.number("d_model", 2048, WIDTH),
    num_layers: t.number("num_layers", 24, COUNT),
    num_heads: t.number("num_heads", 32, WIDTH),
    d_kv,
    d_ff: t.number("d_ff", 5120, WIDE),
    relative_attention_num_buckets: t.number("relative_attention_num_buckets", 32, {
      min: 4,
      max: 2 ** 16,
    }),
    relative_attention_max_distance: t.number("relative_attention_max_distance", 128, {
      min: 1,
      max: 2 ** 20, // a table has an entry per distance
    }),
    layer_norm_epsilon: t.number("layer_norm_epsilon", 1e-6, POSITIVE_REAL),
  };
  for (const key of ["d_model", "d_ff"] as const) {
    if (config[key] % 4) t.refuse(key, config[key], "divisible by 4");
  }
  const exact = config.relative_attention_num_buckets / 4;
  if (config.relative_attention_max_distance <= exact) {
    const distance = config.relative_attention_max_distance;
    t.refuse(
      "relative_attention_max_distance",
      distance,
      `more than ${exact}, a quarter of the buckets`,
    );
  }
  return config;
}
