/**
 * The types of a model's config.json.
 *
 * @module
 */

/** Image sizes of the official schedules, in millions of pixels. */
export type PixelBudget = "0.06M" | "0.25M" | "0.60M" | "1M";

/** The `vae` object of a model's config.json: the names of the official arguments. */
export interface VaeConfig {
  /** Channels at full resolution, times the first multiplier. */
  readonly base_ch: number;
  /** Channel multipliers of the encoder, from full resolution down. */
  readonly encoder_ch_mult: readonly number[];
  /** Channel multipliers of the decoder, from full resolution down. */
  readonly decoder_ch_mult: readonly number[];
  /** Residual blocks per encoder level; decoder levels have one more. */
  readonly num_res_blocks: number;
  /** Pixels along each side of a code: a power of two. */
  readonly patch_size: number;
  /** Channels of a code, which is its number of bits. */
  readonly codebook_dim: number;
  /** Groups of every norm; 32 if absent, and 24 where that does not divide the channels. */
  readonly norm_groups?: number;
  /** Added to the variance in every norm; 1e-6 if absent. */
  readonly norm_eps?: number;
}

/** Hyper-parameters of a T5 v1.1 encoder, named as in Hugging Face's config.json. */
export interface T5Config {
  /** Width of the residual stream and of the features. */
  readonly d_model: number;
  /** Blocks of the encoder. */
  readonly num_layers: number;
  /** Attention heads. */
  readonly num_heads: number;
  /** Channels per head; heads · d_kv need not be d_model. */
  readonly d_kv: number;
  /** Hidden width of the feed-forward. */
  readonly d_ff: number;
  /** Rows of the embedding table. */
  readonly vocab_size: number;
  /** Buckets of relative positions, both directions together. */
  readonly relative_attention_num_buckets: number;
  /** All positions at this distance or more share the last bucket. */
  readonly relative_attention_max_distance: number;
  /** Added to the mean square in every norm. */
  readonly layer_norm_epsilon: number;
}

/** Hyper-parameters of the Infinity transformer, named as in the official code. */
export interface TransformerConfig {
  /** Width of a token. */
  readonly embed_dim: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Heads of self- and cross-attention. */
  readonly num_heads: number;
  /** `ffn_hidden` over `embed_dim`, before rounding to a multiple of 256. */
  readonly mlp_ratio: number;
  /** Width inside the feed-forward network. */
  readonly ffn_hidden: number;
  /** Number of lists that the checkpoint stores its blocks in. */
  readonly block_chunks: number;
  /** Added to the variance in every norm. */
  readonly norm_eps: number;
  /** Whether self-attention uses cosine similarity, with a learnt scale per head. */
  readonly cos_attn: boolean;
  /** Width of the text features. */
  readonly text_channels: number;
  /** Rows of the unconditional text features, and so the most tokens of a prompt. */
  readonly text_maxlen: number;
  /** Heads of the text's attentive pooling. */
  readonly text_attn_pool_heads: number;
  /** Bits per token. */
  readonly d_vae: number;
  /** Whether a token stands for 2×2 positions of the VAE. */
  readonly apply_spatial_patchify: boolean;
  /** Whether the level embedding is added once, not before every chunk. */
  readonly add_lvl_embeding_only_first_block: boolean;
  /** The most scales of a schedule. */
  readonly lvl_embed_rows: number;
  /** Initial value of cross-attention's learnt gain; negative if there is no gain. */
  readonly cross_attn_layer_scale: number;
  /** Whether the head's norm is adaptive; always true. */
  readonly head_aln: boolean;
  /** Whether blocks share AdaLN's linear layer; always true. */
  readonly shared_aln: boolean;
  /** Rotary position embedding in two dimensions. */
  readonly rope: {
    /** `rope2d_normalized_by_hw`: 0 counts positions, 1 interpolates the tables, 2 rounds positions. */
    readonly mode: 0 | 1 | 2;
    /** Base of the frequencies: wavelengths grow geometrically up to 2π times this. */
    readonly base: number;
    /** Grid (height, width) whose positions all scales share; chosen by the schedule if absent. */
    readonly reference_grid?: readonly [height: number, width: number];
  };
}

/** Settings that are not in the tokenizer's own file. */
export interface TokenizerConfig {
  /** The most tokens of a prompt, including the end token. */
  readonly max_length: number;
  /** Token that pads shorter prompts of a batch. */
  readonly pad_id: number;
  /** Token that ends a prompt. */
  readonly eos_id: number;
}

/** Defaults of the sampling options. */
export interface SamplingDefaults {
  /** Classifier-free guidance, for all scales or for each. */
  readonly cfg: number | readonly number[];
  /** Temperature, for all scales or for each. */
  readonly tau: number | readonly number[];
  /** 0 is off; 1 takes the more likely value of each bit. */
  readonly top_k: number;
  /** 0 is off; otherwise a bit's less likely value is dropped if its probability is at most 1 − top_p. */
  readonly top_p: number;
  /** 0 guides the logits, −k the output of block depth − k; one or a list of them. */
  readonly cfg_insertion_layer: number | readonly number[];
  /** Seed of the first image. */
  readonly seed: number;
}

/** A model's config.json, checked and completed with the values of the released models. */
export interface ModelConfig {
  /** The model's name. */
  readonly name: string;
  /** Paths inside the model's folder. */
  readonly files: {
    /** Safetensors file, or shards with an index `X.safetensors.index.json`. */
    readonly vae: string;
    /** Safetensors. */
    readonly transformer: string;
    /** Safetensors. */
    readonly text_encoder: string;
    /** Hugging Face's `tokenizer.json`. */
    readonly tokenizer: string;
  };
  /** Size of the model's own schedule in pixels. */
  readonly image: {
    /** Pixels across. */
    readonly width: number;
    /** Pixels down. */
    readonly height: number;
  };
  /**
   * The official image sizes that the model was trained at: it accepts any size and generates the nearest official
   * one. If absent, the model generates its own size only.
   */
  readonly pixel_budgets?: readonly PixelBudget[];
  /** The visual tokenizer, which turns codes into images and images into codes. */
  readonly vae: VaeConfig;
  /** The model's own schedule in tokens, (1, height, width) by scale. */
  readonly scale_schedule: readonly (readonly [t: 1, h: number, w: number])[];
  /** The transformer, which predicts the codes. */
  readonly transformer: TransformerConfig;
  /** Absent if the model takes text features instead of prompts. */
  readonly text_encoder?: T5Config;
  /** Settings of the tokenizer. */
  readonly tokenizer: TokenizerConfig;
  /** Defaults of the sampling options. */
  readonly defaults: SamplingDefaults;
}
