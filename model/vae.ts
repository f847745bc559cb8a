/**
 * The decoder of Infinity's VAE (infinity/models/bsq_vae/flux_vqgan.py): codes in, a picture out.
 *
 * @module
 */

import { InputError, type Tensor } from "../engine/mod.ts";
import type { Conv } from "../kernels/conv2d.ts";
import type { Weights } from "./checkpoint.ts";
import { convolve, loadConv, type NormOptions, NormSwish, ResBlock } from "./vae_layers.ts";

/** The `vae` object of a model's config.json: the names of the official arguments. */
export interface VaeConfig {
  /** Channels at full resolution are this times the first multiplier. */
  readonly base_ch: number;
  /** Channel multipliers of the encoder, from full resolution down. */
  readonly encoder_ch_mult: readonly number[];
  /** Channel multipliers of the decoder, from full resolution down. */
  readonly decoder_ch_mult: readonly number[];
  /** Residual blocks of an encoder level; decoder levels have one more. */
  readonly num_res_blocks: number;
  /** Pixels of the picture along each side of a code: a power of two. */
  readonly patch_size: number;
  /** Channels of a code, which is its number of bits. */
  readonly codebook_dim: number;
  /** Groups of every norm; 32 if absent, and 24 where that does not divide the channels. */
  readonly norm_groups?: number;
  /** Added to the variance in every norm; 1e-6 if absent. */
  readonly norm_eps?: number;
}

/** One resolution: its residual blocks, and the convolution after doubling, if it doubles. */
interface Level {
  readonly blocks: readonly ResBlock[];
  readonly upsample: Conv | null;
}

/** Bytes of activations beyond which a batch is decoded in parts: a GPU is full by then. */
const PASS_BYTES = 512 * 1024 * 1024;

/** What turns the codes of the last scale into pictures. */
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
   * Loads `decoder.*` of a VAE checkpoint. Convolutions are stored as `weights.dtype`.
   *
   * @throws {CheckpointError} a tensor is missing or has another shape than `config` makes it.
   */
  static async load(weights: Weights, config: VaeConfig): Promise<VaeDecoder> {
    const { base_ch, decoder_ch_mult, num_res_blocks, codebook_dim } = config;
    const norm: NormOptions = { groups: config.norm_groups ?? 32, eps: config.norm_eps ?? 1e-6 };
    let channels = base_ch * decoder_ch_mult.at(-1)!;
    const convIn = await loadConv(weights, "decoder.conv_in", codebook_dim, channels);
    const middle: ResBlock[] = [];
    for (const name of ["decoder.mid.block_1", "decoder.mid.block_2"]) {
      middle.push(await ResBlock.load(weights, name, channels, channels, norm));
    }
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
   * Decodes codes to pictures: [B, h, w, d] f32 (the sum over the scales, ±1/√d each) to
   * [B, h·patch, w·patch, 3] f32, black at -1 and white at 1, not clamped. `codes` stays the caller's.
   *
   * @param codes The codes, channels last.
   * @param imagesPerPass How many pictures go through at once, which never changes a bit of them; as many as fit 512 MiB
   * per activation if absent.
   * @throws {InputError} `codes-shape`: the codes have another number of channels.
   */
  decode(codes: Tensor, imagesPerPass: number = this.#imagesPerPass(codes)): Tensor {
    const { codebook_dim } = this.config;
    const [B = 0, h = 0, w = 0, d = 0] = codes.shape;
    if (codes.shape.length !== 4 || d !== codebook_dim) {
      throw new InputError(
        "codes-shape",
        `Cannot decode [${codes.shape}]: the VAE takes [batch, height, width, ${codebook_dim}]`,
      );
    }
    if (imagesPerPass >= B) return this.#pass(codes);
    const scale = this.#scale;
    const y = this.weights.device.tensor("f32", [B, h * scale, w * scale, 3], "decoded picture");
    for (let at = 0; at < B; at += imagesPerPass) {
      const count = Math.min(imagesPerPass, B - at);
      this.#pass(codes.rows(at, count), y.rows(at, count));
    }
    return y;
  }

  #pass(codes: Tensor, y?: Tensor): Tensor {
    const { device } = this.weights;
    // a view, so that the caller keeps the codes
    let x = convolve(device, this.convIn, codes.reshape(...codes.shape));
    for (const block of this.middle) x = block.run(device, x);
    for (const { blocks, upsample } of this.levels) {
      for (const block of blocks) x = block.run(device, x);
      if (upsample) x = convolve(device, upsample, x, { upsample: true });
    }
    const h = this.normOut.run(device, x);
    x.dispose();
    return convolve(device, this.convOut, h, { y });
  }

  /** Pixels along each side of a code. */
  get #scale(): number {
    return 2 ** this.levels.filter((level) => level.upsample).length;
  }

  /** So many pictures that the largest activation stays within {@link PASS_BYTES} and one binding. */
  #imagesPerPass({ shape: [, h = 0, w = 0] }: Tensor): number {
    const { maxBufferSize = 0, maxStorageBufferBindingSize = 0 } =
      this.weights.device.capabilities.limits;
    const limit = Math.min(PASS_BYTES, maxBufferSize, maxStorageBufferBindingSize);
    return Math.max(1, Math.floor(limit / largestActivation(this.config, h, w)));
  }

  /** Frees the weights. */
  dispose(): void {
    this.weights.dispose();
  }
}

/** Whether decoder level `i`, counted from full resolution, ends in an Upsample. */
function doubles({ patch_size }: VaeConfig, i: number): boolean {
  return i >= 1 && i <= Math.log2(patch_size);
}

/** Bytes of the largest activation while one picture of h × w codes is decoded. */
function largestActivation(config: VaeConfig, h: number, w: number): number {
  let scale = 1;
  let most = 0;
  for (let i = config.decoder_ch_mult.length - 1; i >= 0; i--) {
    const width = config.base_ch * config.decoder_ch_mult[i]!;
    most = Math.max(most, width * scale ** 2);
    if (!doubles(config, i)) continue;
    scale *= 2;
    most = Math.max(most, width * scale ** 2);
  }
  return most * h * w * 4;
}
