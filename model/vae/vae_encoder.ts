/**
 * The encoder of Infinity's VAE (infinity/models/bsq_vae/flux_vqgan.py): an image in, features out. Their signs become
 * bits.
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
import { doubles, encoderBlocks, imagesPerPass, needsStrips } from "./vae_memory.ts";
import { Bands, convolveToBands, resampleInStrips, StripMemory } from "./vae_strips.ts";

/** One resolution: its residual blocks, and the convolution that halves it; null at the last. */
interface Level {
  readonly blocks: readonly ResBlock[];
  readonly downsample: Conv | null;
}

/** Encodes images to the features that are quantised. */
export class VaeEncoder {
  private constructor(
    private readonly weights: Weights,
    private readonly config: VaeConfig,
    private readonly convIn: Conv,
    private readonly levels: readonly Level[],
    private readonly middle: readonly ResBlock[],
    private readonly normOut: NormSwish,
    private readonly convOut: Conv,
  ) {}

  /**
   * Loads `encoder.*` of a VAE checkpoint. Stores convolutions as `weights.dtype`.
   *
   * @throws {CheckpointError} A tensor is missing, or its shape contradicts `config`.
   */
  static async load(weights: Weights, config: VaeConfig): Promise<VaeEncoder> {
    const { base_ch, encoder_ch_mult, num_res_blocks, codebook_dim } = config;
    const norm = normOptions(config);
    let channels = base_ch;
    const convIn = await loadConv(weights, "encoder.conv_in", 3, channels);
    const levels: Level[] = [];
    for (const [i, mult] of encoder_ch_mult.entries()) {
      const blocks: ResBlock[] = [];
      const width = base_ch * mult;
      for (let k = 0; k < num_res_blocks; k++) {
        const name = `encoder.down.${i}.block.${k}`;
        blocks.push(await ResBlock.load(weights, name, channels, width, norm));
        channels = width;
      }
      const downsample = doubles(config, i + 1)
        ? await loadConv(weights, `encoder.down.${i}.downsample.conv`, width, width)
        : null;
      levels.push({ blocks, downsample });
    }
    const middle = await loadMiddle(weights, "encoder", channels, norm);
    const normOut = await NormSwish.load(weights, "encoder.norm_out", channels, norm);
    const convOut = await loadConv(weights, "encoder.conv_out", channels, codebook_dim);
    return new VaeEncoder(weights, config, convIn, levels, middle, normOut, convOut);
  }

  /**
   * Encodes images to features: [B, h·patch, w·patch, 3] f32, where −1 is black and 1 is white, to [B, h, w, d] f32,
   * not normalised.
   *
   * @param images The images, channels last; they stay the caller's.
   * @param rowsPerStrip Rows of a strip, which does not change a bit. If absent, images with an activation of more than
   * 256 MiB are encoded in strips of 64 MiB, which takes little more than a third of the memory.
   * @throws {InputError} `image-shape`: a side is not a multiple of the patch, or there are not three channels.
   */
  encode(images: Tensor, rowsPerStrip?: number): Tensor {
    const { patch_size: patch } = this.config;
    const [, H = 0, W = 0, channels] = images.shape;
    if (images.shape.length !== 4 || channels !== 3 || !H || !W || H % patch || W % patch) {
      throw new InputError(
        "image-shape",
        `Cannot encode [${images.shape}]: the VAE takes [batch, height, width, 3], both sides ` +
          `multiples of ${patch}`,
      );
    }
    const blocks = encoderBlocks(this.config);
    const h = H / patch, w = W / patch;
    const { device } = this.weights;
    const limit = largestBinding(device);
    const strips = rowsPerStrip !== undefined || needsStrips(blocks, h, w, limit);
    const pass = (part: Tensor): Tensor =>
      strips ? this.#passInStrips(part, rowsPerStrip) : this.#pass(part);
    return inParts(device, images, imagesPerPass(blocks, h, w, limit), pass);
  }

  #pass(images: Tensor): Tensor {
    const { device, activations } = this.weights;
    // a view, so that the caller keeps the images
    let x = convolve(device, this.convIn, images.reshape(...images.shape), "f32");
    for (const { blocks, downsample } of this.levels) {
      for (const block of blocks) x = block.run(device, x);
      if (downsample) x = resampleWhole(device, downsample, x, activations, "down");
    }
    for (const block of this.middle) x = block.run(device, x);
    const h = this.normOut.run(device, x);
    x.dispose();
    return convolve(device, this.convOut, h, "f32");
  }

  /**
   * {@link VaeEncoder.#pass} with the same bits, but two activations and a strip in memory instead of four activations.
   */
  #passInStrips(images: Tensor, rowsPerStrip?: number): Tensor {
    const { device, activations } = this.weights;
    const { patch_size: patch, codebook_dim } = this.config;
    const [B = 0, H = 0, W = 0] = images.shape;
    const codes = [B, H / patch, W / patch];
    const blocks = encoderBlocks(this.config);
    const limit = largestBinding(device);
    using memory = new StripMemory(device, blocks, codes, activations, limit, rowsPerStrip);
    let x = memory.x([B, H, W, this.convIn.N]);
    convolveToBands(device, this.convIn, images, x);
    for (const { blocks, downsample } of this.levels) {
      for (const block of blocks) x = block.runInStrips(memory, x);
      if (downsample) x = resampleInStrips(memory, downsample, x, "down");
    }
    for (const block of this.middle) x = block.runInStrips(memory, x);
    const y = device.tensor("f32", [...codes, codebook_dim], "features");
    this.normOut.convolve(memory, x, this.convOut, Bands.whole(y));
    return y;
  }

  /** Frees the weights. */
  dispose(): void {
    this.weights.dispose();
  }
}
