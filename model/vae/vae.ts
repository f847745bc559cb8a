/**
 * The decoder of Infinity's VAE (infinity/models/bsq_vae/flux_vqgan.py): codes in, an image out.
 *
 * @module
 */

import { InputError, type Tensor } from "../../engine/mod.ts";
import type { Conv } from "../../kernels/conv/conv2d_weight.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { VaeConfig } from "../config/types.ts";
import {
  convolve,
  inParts,
  largestBinding,
  loadConv,
  loadMiddle,
  normOptions,
  NormSwish,
  resampleWhole,
  ResBlock,
} from "./vae_layers.ts";
import { decoderBlocks, doubles, imagesPerPass, needsStrips } from "./vae_memory.ts";
import { Bands, convolveToBands, resampleInStrips, StripMemory } from "./vae_strips.ts";

/** One resolution: its residual blocks, and the convolution after doubling the size; null if it does not. */
interface Level {
  readonly blocks: readonly ResBlock[];
  readonly upsample: Conv | null;
}

/** Decodes the sum of codes to images. */
export class VaeDecoder {
  private constructor(
    private readonly weights: Weights,
    private readonly config: VaeConfig,
    private readonly convIn: Conv,
    private readonly middle: readonly ResBlock[],
    private readonly levels: readonly Level[],
    private readonly normOut: NormSwish,
    private readonly convOut: Conv,
  ) {}

  /**
   * Loads `decoder.*` of a VAE checkpoint. Stores convolutions as `weights.dtype`.
   *
   * @throws {CheckpointError} A tensor is missing, or its shape contradicts `config`.
   */
  static async load(weights: Weights, config: VaeConfig): Promise<VaeDecoder> {
    const { base_ch, decoder_ch_mult, num_res_blocks, codebook_dim } = config;
    const norm = normOptions(config);
    let channels = base_ch * decoder_ch_mult.at(-1)!;
    const convIn = await loadConv(weights, "decoder.conv_in", codebook_dim, channels);
    const middle = await loadMiddle(weights, "decoder", channels, norm);
    const levels: Level[] = [];
    for (let i = decoder_ch_mult.length - 1; i >= 0; i--) {
      const blocks: ResBlock[] = [];
      const width = base_ch * decoder_ch_mult[i]!;
      for (let k = 0; k <= num_res_blocks; k++) {
        blocks.push(
          await ResBlock.load(weights, `decoder.up.${i}.block.${k}`, channels, width, norm),
        );
        channels = width;
      }
      const upsample = doubles(config, i)
        ? await loadConv(weights, `decoder.up.${i}.upsample.conv`, width, width)
        : null;
      levels.push({ blocks, upsample });
    }
    const normOut = await NormSwish.load(weights, "decoder.norm_out", channels, norm);
    const convOut = await loadConv(weights, "decoder.conv_out", channels, 3);
    return new VaeDecoder(weights, config, convIn, middle, levels, normOut, convOut);
  }

  /**
   * Decodes codes to images: [B, h, w, d] f32 (the sum over the scales, ±1/√d each) to [B, h·patch, w·patch, 3] f32,
   * where −1 is black and 1 is white, not clamped.
   *
   * @param codes The codes, channels last; they stay the caller's.
   * @param imagesPerPass Images to decode at once, which does not change a bit of them; if absent, as many as fit 512
   * MiB per activation.
   * @param rowsPerStrip Rows of a strip, which does not change a bit either. If absent, images with an activation of
   * more than 256 MiB are decoded in strips of 64 MiB, which takes a third of the memory.
   * @throws {InputError} `codes-shape`: the codes have another number of channels.
   */
  decode(
    codes: Tensor,
    imagesPerPass: number = this.#imagesPerPass(codes),
    rowsPerStrip?: number,
  ): Tensor {
    const { codebook_dim } = this.config;
    const [, h = 0, w = 0, d = 0] = codes.shape;
    if (codes.shape.length !== 4 || d !== codebook_dim) {
      throw new InputError(
        "codes-shape",
        `Cannot decode [${codes.shape}]: the VAE takes [batch, height, width, ${codebook_dim}]`,
      );
    }
    const limit = largestBinding(this.weights.device);
    const strips = rowsPerStrip !== undefined ||
      needsStrips(decoderBlocks(this.config), h, w, limit);
    const pass = (part: Tensor): Tensor =>
      strips ? this.#passInStrips(part, rowsPerStrip) : this.#pass(part);
    return inParts(this.weights.device, codes, imagesPerPass, pass);
  }

  #pass(codes: Tensor): Tensor {
    const { device, activations } = this.weights;
    // a view, so that the caller keeps the codes
    let x = convolve(device, this.convIn, codes.reshape(...codes.shape), "f32");
    for (const block of this.middle) x = block.run(device, x);
    for (const { blocks, upsample } of this.levels) {
      for (const block of blocks) x = block.run(device, x);
      if (upsample) x = resampleWhole(device, upsample, x, activations, "up");
    }
    const h = this.normOut.run(device, x);
    x.dispose();
    return convolve(device, this.convOut, h, "f32");
  }

  /**
   * {@link VaeDecoder.#pass} with the same bits, but two activations and a strip in memory instead of four activations.
   */
  #passInStrips(codes: Tensor, rowsPerStrip?: number): Tensor {
    const { device, activations } = this.weights;
    const [B = 0, h = 0, w = 0] = codes.shape;
    const blocks = decoderBlocks(this.config);
    const limit = largestBinding(device);
    using memory = new StripMemory(device, blocks, codes.shape, activations, limit, rowsPerStrip);
    let x = memory.x([B, h, w, this.convIn.N]);
    convolveToBands(device, this.convIn, codes, x);
    for (const block of this.middle) x = block.runInStrips(memory, x);
    for (const { blocks, upsample } of this.levels) {
      for (const block of blocks) x = block.runInStrips(memory, x);
      if (upsample) x = resampleInStrips(memory, upsample, x, "up");
    }
    const [, H, W] = x.shape;
    const y = device.tensor("f32", [B, H, W, 3], "decoded image");
    this.normOut.convolve(memory, x, this.convOut, Bands.whole(y));
    return y;
  }

  #imagesPerPass({ shape: [, h = 0, w = 0] }: Tensor): number {
    return imagesPerPass(decoderBlocks(this.config), h, w, largestBinding(this.weights.device));
  }

  /** Frees the weights. */
  dispose(): void {
    this.weights.dispose();
  }
}
