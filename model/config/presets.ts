/**
 * The published models as config.json objects: every hyper-parameter with its official source, named
 * by file and function of github.com/FoundationVision/Infinity.
 *
 * @module
 */

import { InputError } from "../../engine/mod.ts";
import { schedules } from "./schedule.ts";
import type { PixelBudget } from "./types.ts";

/** Names of the official VAEs. */
export type VaeName = "d16" | "d24" | "d32" | "d32reg" | "d64" | "d56-patchify";

/** An official VAE. */
export interface VaePreset {
  /** Names that its file has been published under, the current one first (README.md, model zoo). */
  readonly files: readonly string[];
  /** The `vae` object of a config.json. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** A model that a checkpoint exists for, or that the official code can build. */
export interface Preset {
  /** Its name in config.json. */
  readonly name: string;
  /** The VAE that the model was trained with. */
  readonly vae: VaeName;
  /** The transformer's file or index in {@linkcode REPOSITORY}; null if it was never published. */
  readonly file: string | null;
  /** A complete config.json for `parseConfig`. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Where the checkpoints are on the Hugging Face hub (README.md, model zoo). */
export const REPOSITORY = "FoundationVision/Infinity";

/** The text encoder and its tokenizer on the hub (README.md, installation, step 3). */
export const TEXT_ENCODER = {
  repository: "google/flan-t5-xl",
  weights: "model.safetensors.index.json",
  tokenizer: "tokenizer.json",
} as const;

/**
 * infinity/models/bsq_vae/vae.py, vae_model: base_ch 128, num_res_blocks 2, cnn_type "2d", no attention,
 * GroupNorm; flux_vqgan.py, Normalize: 32 groups, eps 1e-6; multiscale_bsq.py: signs of unit vectors.
 * tools/run_infinity.py, load_visual_tokenizer: multipliers and patch size, with and without patchify.
 */
function vae(codebook_dim: number, patchify = false): VaePreset["config"] {
  const ch_mult = patchify ? [1, 2, 4, 4] : [1, 2, 4, 4, 4];
  return {
    base_ch: 128,
    encoder_ch_mult: ch_mult,
    decoder_ch_mult: ch_mult,
    num_res_blocks: 2,
    patch_size: patchify ? 8 : 16,
    codebook_dim,
    z_channels: codebook_dim,
    in_channels: 3,
    out_channels: 3,
    cnn_type: "2d",
    cnn_attention: false,
    norm: "group",
    norm_groups: 32,
    norm_eps: 1e-6,
    activation: "silu",
    quantizer: { type: "MultiScaleBSQ", l2_normalize_before_sign: true },
  };
}

/** Files: README.md, visual tokenizer; the scripts write d32_reg. Patchify: tools/interactive_infer_8b.ipynb. */
export const VAES: Readonly<Record<VaeName, VaePreset>> = {
  "d16": { files: ["infinity_vae_d16.pth"], config: vae(16) },
  "d24": { files: ["infinity_vae_d24.pth"], config: vae(24) },
  "d32": { files: ["infinity_vae_d32.pth"], config: vae(32) },
  "d32reg": { files: ["infinity_vae_d32reg.pth", "infinity_vae_d32_reg.pth"], config: vae(32) },
  "d64": { files: ["infinity_vae_d64.pth"], config: vae(64) },
  "d56-patchify": { files: ["infinity_vae_d56_f8_14_patchify.pth"], config: vae(14, true) },
};

/** Hugging Face, google/flan-t5-xl: config.json. */
export const FLAN_T5_XL: Readonly<Record<string, unknown>> = {
  vocab_size: 32128,
  d_model: 2048,
  num_layers: 24,
  num_heads: 32,
  d_kv: 64,
  d_ff: 5120,
  feed_forward_proj: "gated-gelu",
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
  layer_norm_epsilon: 1e-6,
};

/** scripts/infer.sh (cfg, tau); tools/run_infinity.py, gen_one_img (top_k, top_p) and add_common_arguments. */
const INFER = { cfg: 4, tau: 0.5, top_k: 900, top_p: 0.97, cfg_insertion_layer: 0, seed: 0 };
/** tools/interactive_infer_8b.ipynb and interactive_infer_8b_512x512.ipynb. */
const INFER_8B = { ...INFER, cfg: 3, tau: 1 };

/** The values in which models differ. */
interface Row {
  readonly depth: number;
  readonly width: number;
  readonly heads: number;
  readonly chunks: number;
  /** Width of the FFN: infinity/models/basic.py, CrossAttnBlock: round(width · 4 / 256) · 256, halves to even. */
  readonly hidden: number;
  readonly vae: VaeName;
  /** The size (`--pn`) that the model was trained at last; its own images are square. */
  readonly pixels: PixelBudget;
  readonly file?: string;
  readonly defaults?: typeof INFER;
  /** Other names. */
  readonly aliases?: readonly string[];
}

/**
 * Depth, width and heads: infinity/models/infinity.py, infinity_layer12 … infinity_20b (8b, which has no function
 * there: tools/run_infinity.py, load_transformer). Chunks: tools/run_infinity.py, load_transformer; 20b, which is not
 * in it: infinity/utils/load.py, 1 unless the model's name ends in cN. Pixels: README.md, model zoo (2b, 8b, 20b) and
 * training scripts (125m, 1b); the other layers as 1b. VAEs: scripts/infer.sh (2b), the notebooks (8b),
 * scripts/train.sh, --vae_type 32 (layers), get_params_num in infinity.py, 32 bits (20b). No official file names the
 * VAE of 125m; users pair it with d16, and the shape of `word_embed` refuses a wrong one.
 */
// deno-fmt-ignore
const ROWS: Readonly<Record<string, Row>> = {
  "infinity-125m": { depth: 12, width: 768, heads: 8, chunks: 4, hidden: 3072, vae: "d16", pixels: "0.06M",
    file: "infinity_125M_256x256.pth", aliases: ["layer12"] },
  "infinity-layer16": { depth: 16, width: 1152, heads: 12, chunks: 4, hidden: 4608, vae: "d32", pixels: "0.06M" },
  "infinity-1b": { depth: 24, width: 1536, heads: 16, chunks: 4, hidden: 6144, vae: "d32", pixels: "0.06M",
    aliases: ["layer24"] },
  "infinity-layer32": { depth: 32, width: 2080, heads: 20, chunks: 4, hidden: 8192, vae: "d32", pixels: "0.06M" },
  "infinity-layer40": { depth: 40, width: 2688, heads: 24, chunks: 4, hidden: 10752, vae: "d32", pixels: "0.06M" },
  "infinity-layer48": { depth: 48, width: 3360, heads: 28, chunks: 4, hidden: 13312, vae: "d32", pixels: "0.06M" },
  "infinity-2b": { depth: 32, width: 2048, heads: 16, chunks: 8, hidden: 8192, vae: "d32reg", pixels: "1M",
    file: "infinity_2b_reg.pth" },
  "infinity-8b": { depth: 40, width: 3584, heads: 28, chunks: 8, hidden: 14336, vae: "d56-patchify", pixels: "1M",
    file: "infinity_8b_weights/model.safetensors.index.json", defaults: INFER_8B },
  "infinity-8b-512": { depth: 40, width: 3584, heads: 28, chunks: 8, hidden: 14336, vae: "d56-patchify",
    pixels: "0.25M", file: "infinity_8b_512x512_weights/model.safetensors.index.json", defaults: INFER_8B },
  "infinity-20b": { depth: 58, width: 4608, heads: 36, chunks: 1, hidden: 18432, vae: "d32reg", pixels: "1M" },
};

function preset(name: string, row: Row): Preset {
  const patchify = row.vae === "d56-patchify";
  const { config } = VAES[row.vae];
  const scales = schedules(1, row.pixels);
  // a token is 16 pixels wide: one patch of 16, or two of 8
  const size = scales.at(-1)![0] * 16;
  const stem = VAES[row.vae].files[0]!.replace(/\.pth$/, "");
  return {
    name,
    vae: row.vae,
    file: row.file ?? null,
    config: {
      name,
      // the VAE keeps its file name: nothing else tells d32 from d32reg
      files: {
        vae: `${stem}.safetensors`,
        transformer: "transformer.safetensors",
        text_encoder: "text_encoder/model.safetensors",
        tokenizer: "tokenizer.json",
      },
      image: { width: size, height: size },
      pixel_budgets: [row.pixels],
      vae: config,
      scale_schedule: scales.map(([h, w]) => [1, h, w]),
      transformer: {
        embed_dim: row.width,
        depth: row.depth,
        num_heads: row.heads,
        // infinity.py, infinity_2b and the other sizes
        mlp_ratio: 4,
        ffn_hidden: row.hidden,
        block_chunks: row.chunks,
        // infinity.py, Infinity.__init__: defaults that load_infinity does not change
        norm_eps: 1e-6,
        rms_norm: false,
        head_aln: true,
        head_depth: 1,
        cos_attn: true,
        cross_attn_layer_scale: -1,
        swiglu: false,
        nm0: false,
        lvl_embed_rows: 15,
        // tools/run_infinity.py, load_infinity
        shared_aln: true,
        text_channels: 2048,
        text_maxlen: 512,
        // infinity.py, TextAttentivePool: text_channels over 128, over 64 if the width is above 4096
        text_attn_pool_heads: row.width > 4096 ? 32 : 16,
        use_bit_label: 1,
        // infinity.py, Infinity.__init__: the VAE's bits, times 4 with patchify
        d_vae: config.codebook_dim as number * (patchify ? 4 : 1),
        apply_spatial_patchify: patchify ? 1 : 0,
        // scripts/infer.sh and the notebooks; base: basic.py, precompute_rope2d_freqs_grid
        add_lvl_embeding_only_first_block: 1,
        rope: { rope2d_each_sa_layer: 1, rope2d_normalized_by_hw: 2, base: 10000 },
      },
      text_encoder: FLAN_T5_XL,
      // tools/run_infinity.py, load_tokenizer and encode_prompt; ids: google/flan-t5-xl, config.json
      tokenizer: { max_length: 512, pad_id: 0, eos_id: 1 },
      defaults: row.defaults ?? INFER,
    },
  };
}

/** All models by name. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map(
  Object.entries(ROWS).map(([name, row]) => [name, preset(name, row)]),
);

/**
 * Finds a preset by name: `infinity-2b`, `2b` or `layer24`, in any case.
 *
 * @throws {InputError} `unknown-preset`: the message lists all names.
 */
export function findPreset(name: string): Preset {
  const short = name.toLowerCase().replace(/^infinity[-_]/, "");
  for (const [full, { aliases = [] }] of Object.entries(ROWS)) {
    if (full === `infinity-${short}` || aliases.includes(short)) return PRESETS.get(full)!;
  }
  const names = Object.keys(ROWS).map((full) => full.replace("infinity-", "")).join(", ");
  throw new InputError(
    "unknown-preset",
    `Cannot use preset ${JSON.stringify(name)}: it must be one of ${names}`,
  );
}
