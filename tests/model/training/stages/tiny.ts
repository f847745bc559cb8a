/** A configuration of training that takes seconds on a CPU. */

import { fromFileUrl } from "@std/path";
import {
  parseTrainFile,
  resolveTrainConfig,
} from "../../../../model/training/config/train_config.ts";
import type { TrainConfig } from "../../../../model/training/config/types.ts";

const ASSETS = fromFileUrl(new URL("../../../../assets/", import.meta.url));

const MODEL = {
  name: "tiny",
  image: { width: 32, height: 32 },
  vae: {
    base_ch: 32,
    encoder_ch_mult: [1, 1, 1, 1],
    decoder_ch_mult: [1, 1, 1, 1],
    num_res_blocks: 1,
    patch_size: 8,
    codebook_dim: 16,
    z_channels: 16,
  },
  scale_schedule: [[1, 1, 1], [1, 2, 2], [1, 4, 4]],
  transformer: {
    embed_dim: 64,
    depth: 2,
    num_heads: 2,
    ffn_hidden: 128,
    block_chunks: 2,
    text_channels: 64,
    text_maxlen: 32,
    text_attn_pool_heads: 2,
    d_vae: 16,
    lvl_embed_rows: 15,
    rope: { rope2d_normalized_by_hw: 2, base: 10000 },
  },
  text_encoder: {
    vocab_size: 3144,
    d_model: 64,
    num_layers: 1,
    num_heads: 2,
    d_kv: 32,
    d_ff: 128,
  },
  tokenizer: { max_length: 32, pad_id: 0, eos_id: 1 },
  defaults: { cfg: 2, tau: 0.5, top_k: 0, top_p: 0 },
};

/** The configuration, with some of its keys changed. */
export async function tinyTraining(changes: object = {}): Promise<TrainConfig> {
  const stage = { steps: 12, batch: 4, warmup: 2, learning_rate: 2e-3 };
  const file = parseTrainFile({
    model: MODEL,
    words: `${ASSETS}models/emoji-nano/tokenizer.json`,
    data: { kind: "sheet", path: `${ASSETS}training/emoji` },
    tokenizer: stage,
    transformer: { ...stage, flips: 0.25 },
    decoder: { ...stage, drawn: 0.5 },
    report_every: 3,
    sample_every: 0,
    sample_prompts: ["red apple", "rocket"],
    ...changes,
  }, "tiny");
  return await resolveTrainConfig(file, ASSETS, "tiny");
}
