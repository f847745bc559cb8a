import type { Device, Tensor } from "../../../engine/mod.ts";
import type { Grid } from "../../config/grid.ts";
import { offsets } from "../../config/offsets.ts";
import { referenceGrid, scheduleForImage } from "../../config/schedule.ts";
import type { ModelConfig } from "../../config/types.ts";
import { FolderSource } from "../../parts/parts.ts";
import { VaeEncoder } from "../../vae/vae_encoder.ts";
import type { TrainConfig, TransformerTraining } from "../config/types.ts";
import { Draws, STREAMS } from "../data/base/draws.ts";
import type { DataSource } from "../data/base/source.ts";
import { TransformerNetwork } from "../networks/transformer.ts";
import { bitCrossEntropy, tokenWeights } from "../ops/losses/bit_cross_entropy.ts";
import { selfCorrection } from "../ops/transformer/self_correction.ts";
import type { Pass, PassResult, Task } from "../run/task.ts";
import type { Parameters } from "../tape/parameters.ts";
import type { Tape } from "../tape/tape.ts";
import { type Learner, openLearner } from "./learner.ts";
import type { Beginning, Watch } from "./beginning.ts";
import { ImageFeatures } from "./image_features.ts";
import type { Words } from "./words.ts";

/**
 * Bytes of free memory that stay while the other network works: more of it would cost large images more than the time
 * to get it anew.
 */
const KEPT = 256 << 20;

/** The most captions that are encoded before a training, by an encoder that then need not stay. */
export const MOST_CAPTIONS = 1000;

/** What depends on the size of images alone. */
interface Sequence {
  /** Grids of tokens of the scales that are trained. */
  readonly schedule: readonly Grid[];
  readonly network: TransformerNetwork;
  /** How much each token counts, [L] f32. */
  readonly weights: Tensor;
  /** First token of each scale, and L, u32. */
  readonly starts: Tensor;
  /** Tokens of an image. */
  readonly tokens: number;
}

/** Images of a batch, encoded. */
interface Encoded {
  /** Number of the batch. */
  readonly index: number;
  readonly width: number;
  readonly height: number;
  /** [B, h, w, d] f32. */
  readonly features: Tensor;
  readonly ids: readonly (readonly number[])[];
}

/** What a batch goes through, and what learns. */
interface Parts {
  readonly images: ImageFeatures;
  readonly words: Words;
  readonly learner: Learner;
}

/**
 * Training of the transformer, and of its text encoder (`train_step` in trainer.py): images become features, features
 * bits with mistakes, and the loss is that of mending them.
 */
export class TransformerTask implements Task {
  readonly parameters: Parameters;
  readonly #sequences: Map<string, Sequence> = new Map();
  #encoded: Encoded | null = null;

  private constructor(
    private readonly device: Device,
    private readonly model: ModelConfig,
    private readonly options: TransformerTraining,
    private readonly seed: number,
    private readonly data: DataSource,
    private readonly parts: Parts,
  ) {
    this.parameters = parts.learner.parameters;
  }

  /**
   * Loads the encoder that an earlier stage trained, and the weights to begin with.
   *
   * @param config Its model has a text encoder.
   * @param data Images and captions, which stay the caller's.
   * @param watch How encoding the captions is watched, where all are encoded first.
   * @throws {FileError | CheckpointError} A file is missing or wrong.
   * @throws The reason of the signal.
   */
  static async open(
    device: Device,
    config: TrainConfig,
    { folder, init, words }: Beginning,
    data: DataSource,
    watch: Watch = {},
  ): Promise<TransformerTask> {
    const { model, transformer: options, seed } = config;
    const source = new FolderSource(folder, model, device, options.dtype);
    const encoder = await source.open(
      "vae_encoder",
      (weights) => VaeEncoder.load(weights, model.vae),
    );
    const frozen = options.text_encoder === "frozen" || options.lora.rank > 0;
    const captions = frozen && data.captions?.(MOST_CAPTIONS) || null;
    const known = captions && {
      prompts: [...captions].map((caption) => words.encode(caption).ids),
      ...watch,
    };
    const learner = await openLearner(device, config, init, known);
    const parts = { images: new ImageFeatures(device, model.vae, encoder, data), words, learner };
    return new TransformerTask(device, model, options, seed, data, parts);
  }

  async compute(tape: Tape, { step, micro }: Pass): Promise<PassResult> {
    const { device, options } = this;
    const index = step * options.accumulate + micro;
    const { features, ids, width, height } = await this.#encode(Math.floor(index / options.reuse));
    const sequence = this.#sequence(width, height);
    const { schedule, network, weights, starts } = sequence;
    const { inputs, bits } = selfCorrection(device, {
      features,
      schedule,
      patchify: this.model.transformer.apply_spatial_patchify,
      strength: options.flips,
      share: options.flips_share,
      requantise: options.requantise,
      random: { seed: this.seed % 2 ** 32, step: index },
      dtype: options.dtype,
      ...options.noise_apply_layers === null ? {} : { layers: options.noise_apply_layers },
    });
    const stats = device.tensor("f32", [schedule.length + 1, 4], "losses");
    const lens = ids.map((prompt) => prompt.length);
    const dropped = ids.map((_, image) => this.#drops(index, image));
    const condition = network.condition(
      tape,
      this.parts.learner.text.features(tape, ids),
      lens,
      dropped,
    );
    const delta = network.logits(tape, inputs, condition);
    bitCrossEntropy(tape, delta, {
      bits,
      weights,
      smoothing: options.label_smoothing,
      stats: { starts, sums: { tensor: stats, add: false } },
    });
    return {
      metrics: { loss: stats },
      images: ids.length,
      tokens: ids.length * sequence.tokens,
      owned: [inputs, bits, stats],
    };
  }

  /** Whether an image is learnt without its prompt. */
  #drops(index: number, image: number): boolean {
    const draws = new Draws(BigInt(this.seed), STREAMS.conditions, index, image);
    return draws.odds(this.options.condition_dropout);
  }

  /** Encodes a batch; the last one is kept, which `reuse` asks for again. */
  async #encode(index: number): Promise<Encoded> {
    if (this.#encoded?.index === index) return this.#encoded;
    this.#encoded?.features.dispose();
    this.#encoded = null;
    const batch = await this.data.batch(index, this.options.batch);
    const { images, captions } = batch;
    const [, height = 0, width = 0] = images.shape;
    this.device.trim(KEPT);
    const features = this.parts.images.encode(batch);
    images.dispose();
    this.device.trim(KEPT);
    const ids = captions.map((caption) => this.parts.words.encode(caption).ids);
    return this.#encoded = { index, width, height, features, ids };
  }

  #sequence(width: number, height: number): Sequence {
    const key = `${width}x${height}`;
    let found = this.#sequences.get(key);
    if (!found) this.#sequences.set(key, found = this.#plan(width, height));
    return found;
  }

  #plan(width: number, height: number): Sequence {
    const { device, model, options, parts: { learner } } = this;
    const whole = scheduleForImage(model, width, height);
    const schedule = whole.slice(0, options.train_scales ?? whole.length);
    const reference = model.transformer.rope.reference_grid ?? referenceGrid(whole);
    const network = new TransformerNetwork(device, model.transformer, learner.layers, {
      schedule,
      referenceGrid: reference,
      recompute: options.recompute,
    });
    const tokens = schedule.map(([h, w]) => h * w);
    const each = tokenWeights(tokens, options.reweight_loss_by_scale);
    const starts = offsets(tokens);
    return {
      schedule,
      network,
      weights: device.from("f32", [each.length], each, "token weights"),
      starts: device.from("u32", [starts.length], Uint32Array.from(starts), "scales"),
      tokens: each.length,
    };
  }

  /** Frees all but the data. */
  dispose(): void {
    for (const { network, weights, starts } of this.#sequences.values()) {
      for (const one of [network, weights, starts]) one.dispose();
    }
    this.#encoded?.features.dispose();
    this.parts.images.dispose();
    this.parts.learner.dispose();
  }
}
