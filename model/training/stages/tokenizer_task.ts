import type { Device, Tensor } from "../../../engine/mod.ts";
import { fill } from "../../../kernels/elementwise/fill.ts";
import { vaeShapes } from "../../checkpoint/tensor_shapes.ts";
import { scheduleForImage, vaeSchedule } from "../../config/schedule.ts";
import type { ModelConfig } from "../../config/types.ts";
import { FolderSource } from "../../parts/parts.ts";
import { VaeEncoder } from "../../vae/vae_encoder.ts";
import type {
  CodeLosses,
  DecoderTraining,
  TokenizerTraining,
  TrainConfig,
} from "../config/types.ts";
import { Draws, STREAMS } from "../data/base/draws.ts";
import type { Batch, DataSource } from "../data/base/source.ts";
import { initialise } from "../initial/initialise.ts";
import { vaeRules } from "../initial/rules.ts";
import { adversarialLosses, discriminatorShapes } from "../networks/discriminator.ts";
import { parameterSpecs } from "../networks/parameter_specs.ts";
import { VaeNetwork } from "../networks/vae.ts";
import { reconstructionLoss } from "../ops/losses/reconstruction_loss.ts";
import { quantise, type QuantiseOptions } from "../ops/tokenizer/quantise.ts";
import type { Pass, PassResult, Task } from "../run/task.ts";
import { Parameters } from "../tape/parameters.ts";
import { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import type { Beginning } from "./beginning.ts";
import { Drawer } from "./drawer.ts";
import { loadParameters } from "./frozen.ts";
import { ImageFeatures, type Shown } from "./image_features.ts";

/** How strong an edge must be for the whole of `losses.edge`: two thirds of the range of a channel. */
const EDGE_GAIN = 1.5;

/** Share of the stage over which flips grow to their full strength. */
const RAMP = 0.3;

/** Settings of both stages. */
type Options = TokenizerTraining & Pick<DecoderTraining, "drawn">;

/** Of a decoder alone, whose bits stay as they are. */
const NO_CODE_LOSSES: CodeLosses = { entropy: 0, commitment: 0 };

/**
 * Training of the visual tokenizer: images are encoded, quantised with straight-through gradients, decoded, and compared
 * with themselves. Or of its decoder alone, where the bits stay as they are.
 */
export class TokenizerTask implements Task {
  readonly #network: VaeNetwork;

  private constructor(
    private readonly device: Device,
    private readonly model: ModelConfig,
    private readonly options: Options,
    private readonly seed: number,
    private readonly data: DataSource,
    readonly parameters: Parameters,
    /** The encoder that does not learn; null if it does. */
    private readonly encoder: ImageFeatures | null,
    /** Draws the codes of some images; null if all are those of the encoder. */
    private readonly drawer: Drawer | null,
  ) {
    this.#network = new VaeNetwork(model.vae, parameters, options);
  }

  /**
   * Draws or loads the weights to begin with.
   *
   * @param stage The whole tokenizer, or its decoder.
   * @param data Images, which stay the caller's.
   * @throws {FileError | CheckpointError} A file is missing or wrong.
   */
  static async open(
    device: Device,
    config: TrainConfig,
    stage: "tokenizer" | "decoder",
    begun: Beginning,
    data: DataSource,
  ): Promise<TokenizerTask> {
    const { model, seed } = config;
    const { folder, init, words } = begun;
    const whole = stage === "tokenizer";
    const shapes = [...vaeShapes(model.vae)].filter(([name]) => whole || /^decoder\./.test(name));
    const besides = config[stage].losses.discriminator > 0 ? discriminatorShapes() : [];
    const parameters = new Parameters(device, parameterSpecs([...shapes, ...besides]));
    try {
      const from = whole ? init : folder;
      if (from === null || besides.length > 0) {
        initialise(device, parameters, vaeRules(), BigInt(seed));
      }
      if (from !== null) {
        const file = await from.tensors(model.files.vae);
        await loadParameters(device, parameters, file, shapes).finally(() => file.close());
      }
      const source = new FolderSource(folder, model, device, config[stage].dtype);
      const encoder = whole ? null : new ImageFeatures(
        device,
        model.vae,
        await source.open("vae_encoder", (weights) => VaeEncoder.load(weights, model.vae)),
        data,
      );
      const draws = !whole && config.decoder.drawn > 0;
      const drawer = draws ? await Drawer.open(device, config, folder, words) : null;
      const options = whole
        ? { ...config.tokenizer, drawn: 0 }
        : { ...config.decoder, losses: { ...config.decoder.losses, ...NO_CODE_LOSSES } };
      return new TokenizerTask(device, model, options, seed, data, parameters, encoder, drawer);
    } catch (error) {
      parameters.dispose();
      throw error;
    }
  }

  async compute(tape: Tape, { step, micro, progress }: Pass): Promise<PassResult> {
    const { device, options } = this;
    const { losses, batch } = options;
    const index = step * options.accumulate + micro;
    const shown = await this.data.batch(index, batch);
    const { images } = shown;
    const stats = device.tensor("f32", [4], "losses");
    const codes = device.tensor("f32", [4], "losses of codes");
    const ramp = Math.min(1, Math.max(0, (progress - options.flips_after) / RAMP));
    const random = { seed: this.seed % 2 ** 32, step: index };
    const most = options.flips * ramp;
    const mistakes = {
      ...most > 0 && { flips: { most, odds: options.flips_share, random } },
      dropScales: ramp > 0 && this.#dropsScale(index) ? 1 : 0,
    };
    const z = this.drawer
      ? this.#partlyDrawn(tape, shown, mistakes, index)
      : this.#quantised(tape, shown, mistakes, codes);
    const y = this.#network.decode(tape, z);
    reconstructionLoss(tape, y, {
      target: images,
      l1: losses.l1,
      l2: losses.l2,
      edges: losses.gradient,
      pooled: losses.pool,
      ...losses.edge > 0 && { edgeWeighting: { amount: losses.edge, gain: EDGE_GAIN } },
      stats: { tensor: stats, add: false },
    });
    const sides = this.#adversary(tape, y, images, progress);
    return {
      metrics: { loss: stats, ...this.#hasCodeLosses && { codes }, ...sides },
      images: batch,
      owned: [images, stats, codes, ...Object.values(sides)],
    };
  }

  /** Trains against the discriminator, if there is one and it is time: the hinge losses of both sides, [2] f32 each. */
  #adversary(tape: Tape, y: Variable, real: Tensor, progress: number): Record<string, Tensor> {
    const { device, parameters: layers, options } = this;
    const factor = options.losses.discriminator;
    if (factor === 0) return {};
    const generator = device.tensor("f32", [2], "loss of the generator");
    const discriminator = device.tensor("f32", [2], "losses of the discriminator");
    if (progress < options.discriminator_after) {
      for (const sums of [generator, discriminator]) fill(device, sums, 0);
    } else {
      const stats = {
        generator: { tensor: generator, add: false },
        real: { tensor: discriminator, add: false },
        fake: { tensor: discriminator, add: true },
      };
      adversarialLosses(tape, y, { layers, real, factor, stats });
    }
    return { generator, discriminator };
  }

  /** Images and what they are reconstructed as, without mistakes: [B, H, W, 3] f32 each, which the caller disposes. */
  async reconstruct(count: number): Promise<{ images: Tensor; decoded: Tensor }> {
    const shown = await this.data.batch(0, count);
    const { images } = shown;
    using tape = new Tape(this.device);
    const y = this.#network.decode(tape, this.#quantised(tape, shown, {}, null)).value;
    const decoded = this.device.tensor("f32", y.shape);
    this.device.copy(y, decoded);
    return { images, decoded };
  }

  get #hasCodeLosses(): boolean {
    const { entropy, commitment } = this.options.losses;
    return entropy > 0 || commitment > 0;
  }

  /** The sum of codes of images, through the encoder that learns or the one that does not. */
  #quantised(
    tape: Tape,
    shown: Shown,
    mistakes: Pick<QuantiseOptions, "flips" | "dropScales">,
    stats: Tensor | null,
  ): Variable {
    const { model, encoder, options: { losses: { entropy, commitment } } } = this;
    const { images } = shown;
    const [, height = 0, width = 0] = images.shape;
    const h = encoder
      ? tape.constant(tape.keep(encoder.encode(shown)))
      : this.#network.encode(tape, tape.constant(images));
    return quantise(tape, h, {
      schedule: vaeSchedule(model, scheduleForImage(model, width, height)),
      ...mistakes,
      ...this.#hasCodeLosses && stats && {
        losses: {
          vector: entropy,
          codebook: entropy,
          commitment,
          stats: { tensor: stats, add: false },
        },
      },
    });
  }

  /** The sum of codes of images: of the last ones with what the transformer draws, of the others as they are. */
  #partlyDrawn(
    tape: Tape,
    { images, captions, pictures }: Batch,
    mistakes: Pick<QuantiseOptions, "flips" | "dropScales">,
    index: number,
  ): Variable {
    const { device, encoder, drawer, options: { drawn } } = this;
    const [B = 0, height = 0, width = 0] = images.shape;
    // so that small batches, too, have that share in the long run
    const odd = new Draws(BigInt(this.seed), STREAMS.drawn, index, 0).next();
    const kept = B - Math.floor(drawn * B + odd);
    const z = tape.keep(this.#sum(images));
    const part = (first: number, count: number): Shown => ({
      images: images.rows(first, count),
      ...pictures && { pictures: pictures.slice(first, first + count) },
    });
    if (kept > 0) {
      using own = new Tape(device);
      const sum = this.#quantised(own, part(0, kept), mistakes, null).value;
      device.copy(sum, z);
    }
    if (kept < B) {
      using features = encoder!.encode(part(kept, B - kept));
      using sum = drawer!.draw(features, captions.slice(kept), { width, height }, index);
      device.copy(sum, z, 4 * kept * (z.elements / B));
    }
    return tape.constant(z);
  }

  /** Memory for the sum of codes of images. */
  #sum({ shape: [B = 0, height = 0, width = 0] }: Tensor): Tensor {
    const { patch_size: patch, codebook_dim } = this.model.vae;
    return this.device.tensor("f32", [B, height / patch, width / patch, codebook_dim]);
  }

  /** Whether a batch is decoded without its last scale. */
  #dropsScale(index: number): boolean {
    const draws = new Draws(BigInt(this.seed), STREAMS.scales, index, 0);
    return draws.odds(this.options.scale_dropout);
  }

  /** Frees all but the data. */
  dispose(): void {
    this.parameters.dispose();
    this.encoder?.dispose();
    this.drawer?.dispose();
  }
}
