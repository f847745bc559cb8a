/**
 * Every key of CONFIG.json with its default, in one place; docs/training.md shows these tables.
 *
 * @module
 */

import {
  flag,
  type Key,
  oneOf,
  orNone,
  pair,
  real,
  share,
  type Table,
  text,
  texts,
  whole,
  withDefault,
} from "./keys.ts";
import type {
  CodeLosses,
  DataConfig,
  DecoderTraining,
  LossWeights,
  OptimiserConfig,
  TokenizerTraining,
  TrainConfig,
  TransformerTraining,
} from "./types.ts";

/** Steps that end a stage if neither steps nor minutes are given. */
export const DEFAULT_STEPS = 10_000;

const MANY = 1e9;

const FLIPS = "Largest share of bits that are flipped, as if by mistake";

const OPTIMISER: Table<OptimiserConfig> = {
  steps: orNone(whole(0, 1, MANY, "Steps; 10000 if absent and no `minutes` are given")),
  minutes: orNone(real(0, { above: 0, max: 1e6 }, "Minutes after which the stage ends")),
  batch: whole(16, 1, 65536, "Images of one forward and backward pass"),
  accumulate: whole(1, 1, 65536, "Passes whose gradients make one step"),
  learning_rate: real(8e-4, { above: 0, max: 10 }, "Learning rate after the warm-up"),
  learning_rate_end: share(0.02, "Share of the learning rate that is left at the end"),
  warmup: whole(200, 0, MANY, "Steps over which the learning rate rises from 0"),
  schedule: oneOf("cosine", ["cosine", "linear", "constant"], "How it falls afterwards"),
  betas: pair(
    [0.9, 0.98],
    real(0, { max: 0.99999 }, "Decays of AdamW's means of gradients, and of their squares"),
  ),
  epsilon: real(1e-8, { min: 1e-30, max: 1 }, "AdamW's ε"),
  weight_decay: real(1e-3, { max: 10 }, "AdamW's decay of matrices; other tensors have none"),
  clip: real(1, { max: 1e9 }, "Largest norm of all gradients together; 0 does not clip"),
  ema: real(0.998, { max: 0.999999 }, "Decay of the average of weights that is saved; 0 is none"),
  recompute: flag(false, "Less memory: blocks are computed again in the backward pass"),
  dtype: oneOf("f32", ["f32", "f16"], "Type of activations"),
  loss_scale: real(2048, { min: 1, max: 32768 }, "First scale of the loss with f16"),
};

const LOSSES: Table<LossWeights> = {
  l1: weight(1, "Absolute difference of pixels"),
  l2: weight(2, "Squared difference of pixels"),
  gradient: weight(0.5, "Absolute difference of the differences between neighbouring pixels"),
  edge: weight(0, "How much more `l1` counts at edges"),
  pool: weight(0, "Absolute difference of means of 4×4 pixels"),
  discriminator: weight(0, "What a patch discriminator finds unlike images"),
};

/** Those of an encoder that learns. */
const CODE_LOSSES: Table<CodeLosses> = {
  entropy: weight(0, "Entropy of bits: low for each token, high over all"),
  commitment: weight(0, "Squared distance of features from their codes"),
};

const TOKENIZER: Table<TokenizerTraining> = {
  ...OPTIMISER,
  losses: { ...LOSSES, ...CODE_LOSSES },
  flips: share(0.04, FLIPS),
  flips_share: share(0.5, "Share of images whose bits are flipped"),
  flips_after: share(0.35, "Share of the stage before flips and scale dropout begin"),
  scale_dropout: share(0.1, "Probability that a batch is decoded without its last scale"),
  discriminator_after: share(0.5, "Share of the stage before the discriminator counts"),
};

const DECODER: Table<DecoderTraining> = {
  ...TOKENIZER,
  losses: LOSSES,
  learning_rate: withDefault(OPTIMISER.learning_rate, 5e-4),
  warmup: withDefault(OPTIMISER.warmup, 60),
  flips: withDefault(TOKENIZER.flips, 0.03),
  flips_share: withDefault(TOKENIZER.flips_share, 0.4),
  flips_after: withDefault(TOKENIZER.flips_after, 0),
  scale_dropout: withDefault(TOKENIZER.scale_dropout, 0),
  drawn: share(0.5, "Share of images whose later scales the transformer draws"),
};

const TRANSFORMER: Table<TransformerTraining> = {
  ...OPTIMISER,
  batch: withDefault(OPTIMISER.batch, 64),
  learning_rate: withDefault(OPTIMISER.learning_rate, 1e-3),
  betas: withDefault(OPTIMISER.betas, [0.9, 0.97]),
  weight_decay: withDefault(OPTIMISER.weight_decay, 0.02),
  clip: withDefault(OPTIMISER.clip, 2),
  ema: withDefault(OPTIMISER.ema, 0.9985),
  flips: share(0.3, FLIPS),
  flips_share: share(0.8, "Share of images whose bits are flipped"),
  noise_apply_layers: orNone(whole(0, 0, 1000, "Scales, from the first, that are flipped; all")),
  requantise: flag(true, "Whether later scales' labels are made of the flipped bits"),
  reweight_loss_by_scale: flag(true, "Whether tokens of coarse scales count more"),
  label_smoothing: share(0, "Share of each bit's label that goes to the other value"),
  condition_dropout: share(0.1, "Probability that an image is learnt without its prompt"),
  text_encoder: oneOf("joint", ["joint", "frozen"], "Whether the text encoder learns too"),
  train_scales: orNone(whole(0, 1, 1000, "Scales, from the first, that are learnt; all")),
  reuse: whole(1, 1, 1000, "How often an encoded image is used, with other flips each time"),
  lora: {
    rank: whole(0, 0, 1024, "Rank of adapters; 0 trains the weights themselves"),
    alpha: orNone(real(0, { above: 0, max: 1e6 }, "Adapters are scaled by alpha / rank; the rank")),
    layers: oneOf("blocks", ["attention", "blocks", "all"], "Which layers have adapters"),
  },
};

const DATA: Table<DataConfig> = {
  kind: oneOf("folder", ["folder", "jsonl", "sheet", "scenes"], "How images are stored"),
  path: text("", "Folder or file"),
  broken: oneOf("stop", ["stop", "skip"], "What an image that cannot be read does"),
  mirror: share(0, "Probability that an image is mirrored"),
  held_out: share(0, "Share of images that are kept for measuring alone"),
};

/** What stands in the file as it is; `model`, `init` and `words` need files of their own. */
type Plain = Omit<TrainConfig, "name" | "model" | "model_json" | "init" | "words">;

/** The keys at the top of the file that other files complete. */
export interface Links {
  /** Null is that of `model`. */
  readonly name: string | null;
  /** A name, a path, or the object itself; null is that of `init`. */
  readonly model: string | null;
  /** A name or path; null begins with random weights. */
  readonly init: string | null;
  /** A path; null is that of the model. */
  readonly words: string | null;
}

const MODEL: Key<string | null> = {
  ...orNone(text("", "Name of a model, path of a config.json, or its object; that of `init`")),
  need: "a name, a path or an object",
};

/** The whole file. */
export const TABLE: Table<Plain & Links> = {
  name: orNone(text("", "Name of the model that is made; that of `model`")),
  model: MODEL,
  init: orNone(text("", "Model whose weights are gone on from, by name or folder; random weights")),
  words: orNone(text("", "Path of a tokenizer.json for prompts; that of the model")),
  data: DATA,
  seed: whole(1, 0, Number.MAX_SAFE_INTEGER, "Seed of weights, order, flips and dropout"),
  tokenizer: TOKENIZER,
  transformer: TRANSFORMER,
  decoder: DECODER,
  report_every: whole(10, 1, MANY, "Steps between lines of the log"),
  sample_every: whole(
    500,
    0,
    MANY,
    "Steps between sheets of samples, the last of which comes at the end; 0 makes none",
  ),
  sample_prompts: texts([], 64, "Prompts of the samples"),
  checkpoint_every: whole(500, 1, MANY, "Steps between checkpoints"),
};

function weight(absent: number, help: string): Key<number> {
  return real(absent, { max: 1e6 }, help);
}
