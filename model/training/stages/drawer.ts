import type { Device, Tensor } from "../../../engine/mod.ts";
import { accumulateCodes } from "../../../kernels/bits/accumulate_codes.ts";
import { flipBits } from "../../../kernels/bits/flip_bits.ts";
import { sampleBits } from "../../../kernels/bits/sample_bits.ts";
import type { Folder } from "../../checkpoint/place.ts";
import { parameterShapes } from "../../checkpoint/tensor_shapes.ts";
import { type Grid, scheduleText } from "../../config/grid.ts";
import { referenceGrid, scheduleForImage } from "../../config/schedule.ts";
import type { ModelConfig } from "../../config/types.ts";
import { FolderSource } from "../../parts/parts.ts";
import type { TrainConfig } from "../config/types.ts";
import { Draws, STREAMS } from "../data/base/draws.ts";
import type { TextFeatures } from "../networks/t5.ts";
import { TransformerNetwork } from "../networks/transformer.ts";
import { selfCorrection } from "../ops/transformer/self_correction.ts";
import { Tape } from "../tape/tape.ts";
import { FrozenLayers } from "./frozen.ts";
import { openFrozenText } from "./frozen_text.ts";
import type { Words } from "./words.ts";

/** The part of the schedule that is never drawn: the first scales decide what an image shows. */
const GIVEN = 2;

/** Draws the codes that a transformer would, so that a decoder learns to make the best of them. */
export class Drawer {
  /** By schedule: their tables are made once. */
  readonly #networks: Map<string, TransformerNetwork> = new Map();

  private constructor(
    private readonly device: Device,
    private readonly model: ModelConfig,
    private readonly seed: number,
    private readonly words: Words,
    private readonly layers: FrozenLayers,
    private readonly text: TextFeatures,
  ) {}

  /**
   * Loads the transformer and text encoder of a model folder.
   *
   * @throws {FileError | CheckpointError} A file is missing or wrong.
   */
  static async open(
    device: Device,
    { model, seed }: TrainConfig,
    folder: Folder,
    words: Words,
  ): Promise<Drawer> {
    const layers = await new FolderSource(folder, model, device).open(
      "transformer",
      (weights) => FrozenLayers.load(weights, parameterShapes(model.transformer)),
    );
    try {
      const text = await openFrozenText(device, model, folder, null);
      return new Drawer(device, model, seed, words, layers, text);
    } catch (error) {
      layers.dispose();
      throw error;
    }
  }

  /**
   * The sum of codes of images, [B, h, w, d] f32, which the caller disposes: from some scale on, bits are drawn as the
   * transformer sees them after the true ones before.
   *
   * @param features Features of the images, [B, h, w, d] f32.
   * @param index Number of the batch, which decides the scale and the draws.
   */
  draw(
    features: Tensor,
    captions: readonly string[],
    size: { readonly width: number; readonly height: number },
    index: number,
  ): Tensor {
    const { device, model } = this;
    const schedule = scheduleForImage(model, size.width, size.height);
    const patchify = model.transformer.apply_spatial_patchify;
    const random = { seed: this.seed % 2 ** 32, step: index };
    const { inputs, bits } = selfCorrection(device, {
      features,
      schedule,
      patchify,
      strength: 0,
      random,
    });
    const draws = new Draws(BigInt(this.seed), STREAMS.scales, index, 1);
    const from = Math.min(GIVEN, schedule.length - 1) +
      draws.below(Math.max(1, schedule.length - GIVEN));
    using drawn = this.#sample(bits, inputs, captions, draws, schedule);
    const sum = device.tensor("f32", features.shape, "sum of codes");
    let first = 0;
    for (const [s, [height, width]] of schedule.entries()) {
      const [B = 0, , perToken = 0] = bits.shape;
      using codes = device.tensor("u32", [B, height * width, perToken], "bits");
      flipBits(device, { x: s < from ? bits : drawn, first, y: codes, flips: null });
      accumulateCodes(device, { bits: codes, height, width, patchify, sum, first: s === 0 });
      first += height * width;
    }
    inputs.dispose();
    bits.dispose();
    return sum;
  }

  /** Draws all bits, each scale after the true ones before it. */
  #sample(
    bits: Tensor,
    inputs: Tensor,
    captions: readonly string[],
    draws: Draws,
    schedule: readonly Grid[],
  ): Tensor {
    const { device, model: { defaults: { tau } } } = this;
    const network = this.#network(schedule);
    using tape = new Tape(device);
    const ids = captions.map((caption) => this.words.encode(caption).ids);
    const lens = ids.map((prompt) => prompt.length);
    const condition = network.condition(tape, this.text.features(tape, ids), lens);
    const delta = network.logits(tape, inputs, condition).value;
    const drawn = device.tensor("u32", bits.shape, "drawn bits");
    const words = Uint32Array.from({ length: 2 * ids.length }, () => draws.below(2 ** 32));
    using seeds = device.from("u32", [ids.length, 2], words, "seeds");
    using nonFinite = device.from("u32", [1], Uint32Array.of(0));
    sampleBits(device, {
      delta,
      bits: drawn,
      batch: ids.length,
      guided: false,
      cfg: 1,
      tau: typeof tau === "number" ? tau : tau.at(-1)!,
      topK: 0,
      topP: 0,
      mode: "random",
      seeds,
      scale: 0,
      nonFinite,
    });
    return drawn;
  }

  #network(schedule: readonly Grid[]): TransformerNetwork {
    const { device, model: { transformer }, layers } = this;
    const key = scheduleText(schedule);
    let found = this.#networks.get(key);
    if (!found) {
      const grid = transformer.rope.reference_grid ?? referenceGrid(schedule);
      found = new TransformerNetwork(device, transformer, layers, {
        schedule,
        referenceGrid: grid,
      });
      this.#networks.set(key, found);
    }
    return found;
  }

  /** Frees the weights. */
  dispose(): void {
    for (const network of this.#networks.values()) network.dispose();
    for (const one of [this.text, this.layers]) one.dispose();
  }
}
