import { ConfigError } from "../../engine/errors.ts";
import { ConfigReader } from "./config_reader.ts";
import { parseT5, parseTransformer, parseVae } from "./config_parts.ts";
import { PIXEL_BUDGETS, type PixelBudget, schedules } from "./schedule.ts";
import type { T5Config } from "../text/t5.ts";
import type { VaeConfig } from "../vae/vae.ts";

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
  /** How many lists the checkpoint keeps its blocks in. */
  readonly block_chunks: number;
  /** Added to the variance in every norm. */
  readonly norm_eps: number;
  /** Whether self-attention compares directions only, with a learnt scale per head. */
  readonly cos_attn: boolean;
  /** Width of the text features. */
  readonly text_channels: number;
  /** Rows of the unconditional text, and so the most tokens of a prompt. */
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
  /** Where cross-attention has a learnt gain: its initial value; negative if there is none. */
  readonly cross_attn_layer_scale: number;
  /** Whether the head's norm is adaptive; it always is. */
  readonly head_aln: boolean;
  /** Whether blocks share AdaLN's linear layer; they always do. */
  readonly shared_aln: boolean;
  /** Rotary position embedding in two dimensions. */
  readonly rope: {
    /** `rope2d_normalized_by_hw`: 0 counts positions, 1 interpolates the tables, 2 rounds positions. */
    readonly mode: 0 | 1 | 2;
    /** What the wavelengths grow up to. */
    readonly base: number;
    /** Grid (height, width) whose positions all scales share; of the schedule if absent. */
    readonly reference_grid?: readonly [height: number, width: number];
  };
}

/** What the tokenizer's own file does not say. */
export interface TokenizerConfig {
  /** The most tokens of a prompt, with the end token. */
  readonly max_length: number;
  /** What fills a batch behind shorter prompts. */
  readonly pad_id: number;
  /** What ends a prompt. */
  readonly eos_id: number;
}

/** How to draw if nothing else is said. */
export interface SamplingDefaults {
  /** Strength of guidance, for all scales or for each. */
  readonly cfg: number | readonly number[];
  /** Temperature, for all scales or for each. */
  readonly tau: number | readonly number[];
  /** 0 is off; 1 takes the likelier value of each bit. */
  readonly top_k: number;
  /** 0 is off; else a bit's unlikelier value is dropped where its probability is at most 1 − top_p. */
  readonly top_p: number;
  /** 0 guides the logits, −k the output of block depth − k. */
  readonly cfg_insertion_layer: number;
  /** Of the first image. */
  readonly seed: number;
}

/** A model's config.json: checked, and complete with the values of the released models. */
export interface ModelConfig {
  /** What the model is called. */
  readonly name: string;
  /** Names inside the model's folder. */
  readonly files: {
    /** Safetensors; shards are found by their index, `X.safetensors.index.json`. */
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
   * The official image sizes that the model was trained for: it then takes any size, of which the nearest official
   * one is drawn. Absent from models of other schedules.
   */
  readonly pixel_budgets?: readonly PixelBudget[];
  /** What turns codes into images. */
  readonly vae: VaeConfig;
  /** The model's own schedule in tokens, (1, height, width) by scale. */
  readonly scale_schedule: readonly (readonly [t: 1, h: number, w: number])[];
  /** What draws the codes. */
  readonly transformer: TransformerConfig;
  /** Absent if the model is fed text features. */
  readonly text_encoder?: T5Config;
  /** What turns prompts into tokens. */
  readonly tokenizer: TokenizerConfig;
  /** How it draws if nothing else is said. */
  readonly defaults: SamplingDefaults;
}

const PATHS = {
  vae: "vae.safetensors",
  transformer: "transformer.safetensors",
  text_encoder: "text_encoder/model.safetensors",
  tokenizer: "tokenizer.json",
} as const;

/** Names of files must stay inside the model's folder: a config may come from anywhere. */
function parseFiles(files: ConfigReader): ModelConfig["files"] {
  const read = (key: keyof typeof PATHS): string => {
    const path = files.text(key, PATHS[key]);
    const parts = path.split(/[/\\]/);
    if (/^[a-z]+:/i.test(path) || parts.some((part) => part === "" || part === "..")) {
      files.refuse(key, path, "a path inside the model's folder");
    }
    return path;
  };
  return {
    vae: read("vae"),
    transformer: read("transformer"),
    text_encoder: read("text_encoder"),
    tokenizer: read("tokenizer"),
  };
}

function parseScales(root: ConfigReader): ModelConfig["scale_schedule"] {
  const value = root.raw("scale_schedule");
  if (value === undefined) return schedules(1, "1M").map(([h, w]) => [1, h, w]);
  const isScale = (item: unknown): item is [1, number, number] =>
    Array.isArray(item) && item.length === 3 && item[0] === 1 &&
    item.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!Array.isArray(value) || value.length === 0) {
    root.refuse("scale_schedule", value, "a list of [1, height, width]");
  }
  const bad = value.findIndex((item) => !isScale(item));
  if (bad >= 0) root.refuse(`scale_schedule[${bad}]`, value[bad], "[1, height, width] in tokens");
  const [, h, w] = value[0];
  if (h !== 1 || w !== 1) root.refuse("scale_schedule[0]", value[0], "[1, 1, 1]: one start token");
  return value;
}

function parseBudgets(root: ConfigReader): readonly PixelBudget[] | undefined {
  const value = root.raw("pixel_budgets");
  if (value === undefined) return undefined;
  const isBudget = (item: unknown) => (PIXEL_BUDGETS as readonly unknown[]).includes(item);
  if (Array.isArray(value) && value.length > 0 && value.every(isBudget)) return value;
  return root.refuse("pixel_budgets", value, `a list of ${PIXEL_BUDGETS.join(", ")}`);
}

/**
 * Reads and checks a model's config.json. Keys that are absent take the values of the released
 * Infinity-2B, and those that bitwise does not know are ignored.
 *
 * @param json What `JSON.parse` returned.
 * @param where What error messages call the file.
 * @throws {ConfigError} one line: which key, what value, what is allowed. The codes are
 * `wrong-type`, `bad-value` and `not-implemented`.
 */
export function parseConfig(json: unknown, where: string): ModelConfig {
  if (json === undefined || json === null) {
    throw new ConfigError("wrong-type", `Cannot use ${where}: it is empty, it must be an object`);
  }
  const root = new ConfigReader(json, where);
  const t = root.object("transformer");
  const patchify = t.flag("apply_spatial_patchify", false);
  const vae = parseVae(root.raw("vae"), where, patchify);
  const d = vae.codebook_dim * (patchify ? 4 : 1);
  const transformer = parseTransformer(root.raw("transformer"), where, d);
  if (transformer.d_vae !== d) {
    const sum = `vae.codebook_dim ${vae.codebook_dim}${patchify ? " × 4, with patchify" : ""}`;
    t.refuse("d_vae", transformer.d_vae, sum);
  }

  const scale_schedule = parseScales(root);
  if (scale_schedule.length > transformer.lvl_embed_rows) {
    const most = `of at most lvl_embed_rows ${transformer.lvl_embed_rows} scales`;
    root.refuse("scale_schedule", scale_schedule, most);
  }
  const [, h, w] = scale_schedule[scale_schedule.length - 1];
  const v = root.object("vae");
  const image = root.object("image");
  const token = patchify ? 2 : 1;
  const expect = (reader: ConfigReader, key: string, value: number): number => {
    if (reader.number(key, value) !== value) {
      reader.refuse(key, reader.raw(key), `${value}, what the last scale ${h}x${w} makes`);
    }
    return value;
  };
  expect(v, "latent_height", h * token);
  expect(v, "latent_width", w * token);
  const height = expect(image, "height", h * token * vae.patch_size);
  const width = expect(image, "width", w * token * vae.patch_size);

  const text_encoder = root.has("text_encoder")
    ? parseT5(root.raw("text_encoder"), where)
    : undefined;
  if (text_encoder && text_encoder.d_model !== transformer.text_channels) {
    const need = `text_encoder.d_model ${text_encoder.d_model}`;
    t.refuse("text_channels", transformer.text_channels, need);
  }
  const pixel_budgets = parseBudgets(root);
  const words = root.object("tokenizer");
  const defaults = root.object("defaults");
  return {
    name: root.text("name", "infinity"),
    files: parseFiles(root.object("files")),
    image: { width, height },
    ...pixel_budgets && { pixel_budgets },
    vae,
    scale_schedule,
    transformer,
    ...text_encoder && { text_encoder },
    tokenizer: {
      max_length: words.number("max_length", transformer.text_maxlen, { min: 1 }),
      pad_id: words.number("pad_id", 0, { min: 0 }),
      eos_id: words.number("eos_id", 1, { min: 0 }),
    },
    defaults: {
      cfg: defaults.numbers("cfg", 4, { real: true }),
      tau: defaults.numbers("tau", 0.5, { above: 0, real: true }),
      top_k: defaults.number("top_k", 900, { min: 0 }),
      top_p: defaults.number("top_p", 0.97, { min: 0, max: 1, real: true }),
      cfg_insertion_layer: defaults.number("cfg_insertion_layer", 0, {
        min: 1 - transformer.depth,
        max: 0,
      }),
      seed: defaults.number("seed", 0),
    },
  };
}
