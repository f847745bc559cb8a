/**
 * The settings of training, as CONFIG.json has them.
 *
 * @module
 */

import type { ModelConfig } from "../../config/types.ts";

/** How weights follow their gradients; the same for all stages. */
export interface OptimiserConfig {
  /** Steps of the optimiser; null if the clock ends the training. */
  readonly steps: number | null;
  /** Minutes after which training ends, complete; null if steps end it. */
  readonly minutes: number | null;
  /** Images of one forward and backward pass. */
  readonly batch: number;
  /** Passes whose gradients make one step. */
  readonly accumulate: number;
  /** Learning rate after the warm-up. */
  readonly learning_rate: number;
  /** Share of the learning rate that is left at the end. */
  readonly learning_rate_end: number;
  /** Steps over which the learning rate rises from 0. */
  readonly warmup: number;
  /** How the learning rate falls after the warm-up. */
  readonly schedule: "cosine" | "linear" | "constant";
  /** Decays of AdamW's means of gradients and of their squares. */
  readonly betas: readonly [number, number];
  /** AdamW's ε. */
  readonly epsilon: number;
  /** AdamW's decay of matrices; biases, norms, embeddings and scales have none. */
  readonly weight_decay: number;
  /** Largest norm of all gradients together; 0 does not clip. */
  readonly clip: number;
  /** Decay of the moving average of weights, which is what is saved; 0 saves the weights themselves. */
  readonly ema: number;
  /** Whether blocks are computed again in the backward pass instead of keeping what they made. */
  readonly recompute: boolean;
  /** Type of activations. */
  readonly dtype: "f32" | "f16";
  /** What the loss is multiplied by at first, so that f16 gradients do not vanish. */
  readonly loss_scale: number;
}

/** Weights of the terms of a visual tokenizer's loss; 0 leaves a term out. */
export interface LossWeights {
  /** Mean absolute difference of pixels. */
  readonly l1: number;
  /** Mean squared difference of pixels. */
  readonly l2: number;
  /** Mean absolute difference of neighbouring pixels' differences. */
  readonly gradient: number;
  /** How much more `l1` counts at edges of the image. */
  readonly edge: number;
  /** Mean absolute difference of means of 4×4 pixels. */
  readonly pool: number;
  /** What a patch discriminator finds unlike images. */
  readonly discriminator: number;
}

/** How much losses of the bits count, which an encoder learns from. */
export interface CodeLosses {
  /** Entropy of bits: sure for each token, even over all. */
  readonly entropy: number;
  /** Distance of features from their codes. */
  readonly commitment: number;
}

/** How a visual tokenizer is trained. */
export interface TokenizerTraining extends OptimiserConfig {
  /** Weights of the terms of the loss. */
  readonly losses: LossWeights & CodeLosses;
  /** Largest share of bits that are flipped before decoding. */
  readonly flips: number;
  /** Share of images whose bits are flipped. */
  readonly flips_share: number;
  /** Share of the training before flips and scale dropout begin. */
  readonly flips_after: number;
  /** Probability that a batch is decoded without its last scale. */
  readonly scale_dropout: number;
  /** Share of the training before the discriminator counts. */
  readonly discriminator_after: number;
}

/** How the decoder alone is trained, on bits that stay as they are. */
export interface DecoderTraining extends Omit<TokenizerTraining, "losses"> {
  /** Weights of the terms of the loss. */
  readonly losses: LossWeights;
  /** Share of images whose later scales the transformer draws. */
  readonly drawn: number;
}

/** How adapters of low rank are trained in place of the weights. */
export interface LoraConfig {
  /** Rank of the adapters; 0 trains the weights themselves. */
  readonly rank: number;
  /** What adapters are scaled by is alpha / rank; null is the rank. */
  readonly alpha: number | null;
  /** Which layers have adapters. */
  readonly layers: "attention" | "blocks" | "all";
}

/** How a transformer, and its text encoder, are trained. */
export interface TransformerTraining extends OptimiserConfig {
  /** Bitwise self-correction: the largest share of bits that are flipped, drawn for each scale. */
  readonly flips: number;
  /** Share of images whose bits are flipped. */
  readonly flips_share: number;
  /** Scales, from the first, whose bits are flipped; null is all. */
  readonly noise_apply_layers: number | null;
  /** Whether the labels of later scales are made of the flipped bits. */
  readonly requantise: boolean;
  /** Whether tokens of coarse scales count more: ∝ √(tokens of the last scale / tokens of the scale). */
  readonly reweight_loss_by_scale: boolean;
  /** Share of each bit's label that goes to the other value. */
  readonly label_smoothing: number;
  /** Probability that an image is learnt without its prompt. */
  readonly condition_dropout: number;
  /** Whether the text encoder learns too. */
  readonly text_encoder: "joint" | "frozen";
  /** Scales, from the first, that are learnt; null is all. */
  readonly train_scales: number | null;
  /** How often an encoded image is used, each time with other flips. */
  readonly reuse: number;
  /** Adapters of low rank. */
  readonly lora: LoraConfig;
}

/** Where images and captions come from. */
export interface DataConfig {
  /**
   * `folder`: pairs of NAME.png and NAME.txt; `jsonl`: files of lines with an image's path, size and captions, as the
   * official code reads; `sheet`: tiles of one image; `scenes`: scenes composed of sprites.
   */
  readonly kind: "folder" | "jsonl" | "sheet" | "scenes";
  /** Folder or file. */
  readonly path: string;
  /** What an image that cannot be read does. */
  readonly broken: "stop" | "skip";
  /** Probability that an image is mirrored. */
  readonly mirror: number;
  /** Share of images that are kept for measuring alone. */
  readonly held_out: number;
}

/** A stage of training. */
export type Stage = "tokenizer" | "transformer" | "decoder";

/** All stages, in their order. */
export const STAGES: readonly Stage[] = ["tokenizer", "transformer", "decoder"];

/** A CONFIG.json, checked and completed. */
export interface TrainConfig {
  /** Name of the model that is made. */
  readonly name: string;
  /** Its hyper-parameters. */
  readonly model: ModelConfig;
  /** The config.json of the model folder that is made. */
  readonly model_json: Readonly<Record<string, unknown>>;
  /** Path of a model folder, whose weights are gone on from; null begins with random ones. */
  readonly init: string | null;
  /** Path of Hugging Face's tokenizer.json, which splits prompts. */
  readonly words: string;
  /** Images and captions. */
  readonly data: DataConfig;
  /** Seed of weights, order, flips and all else that is random. */
  readonly seed: number;
  /** The visual tokenizer. */
  readonly tokenizer: TokenizerTraining;
  /** The transformer and text encoder. */
  readonly transformer: TransformerTraining;
  /** The decoder, after the others. */
  readonly decoder: DecoderTraining;
  /** Steps between lines of the log. */
  readonly report_every: number;
  /** Steps between sheets of samples; 0 makes none. */
  readonly sample_every: number;
  /** Prompts of the samples. */
  readonly sample_prompts: readonly string[];
  /** Steps between checkpoints. */
  readonly checkpoint_every: number;
}
