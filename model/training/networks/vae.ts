/**
 * The visual tokenizer as it is trained (infinity/models/bsq_vae/flux_vqgan.py): its encoder and its decoder on a tape.
 * Between them stands `quantise`.
 *
 * @module
 */

import { InputError } from "../../../engine/mod.ts";
import type { ConvGeometry } from "../../../kernels/conv/conv_dispatch.ts";
import type { VaeConfig } from "../../config/types.ts";
import { RESAMPLE } from "../../vae/resampling.ts";
import { normGroups, normOptions } from "../../vae/vae_layers.ts";
import { doubles } from "../../vae/vae_memory.ts";
import { conv2d, type Conv2dOptions } from "../ops/tokenizer/conv2d.ts";
import { groupNorm } from "../ops/tokenizer/group_norm.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import type { Layers } from "./layers.ts";

/** How a VAE is run. */
export interface VaeNetworkOptions {
  /**
   * Whether residual blocks are computed again when the tape is unwound: a third of the memory for a third more
   * time. False if absent.
   */
  readonly recompute?: boolean;
}

/** The VAE's encoder and decoder. Either needs its own layers only. */
export class VaeNetwork {
  /** Allocates nothing; layers are found when they are run. */
  constructor(
    private readonly config: VaeConfig,
    private readonly layers: Layers,
    private readonly options: VaeNetworkOptions = {},
  ) {}

  /**
   * Images [B, h·patch, w·patch, 3] f32, from −1 (black) to 1, to features [B, h, w, d] f32, not normalised.
   *
   * @throws {InputError} `image-shape`: a side is not a multiple of the patch, or there are not three channels.
   */
  encode(tape: Tape, images: Variable): Variable {
    const { encoder_ch_mult, num_res_blocks, patch_size: patch } = this.config;
    const [, H = 0, W = 0, channels] = images.value.shape;
    if (channels !== 3 || !H || !W || H % patch || W % patch) {
      throw new InputError(
        "image-shape",
        `Cannot encode [${images.value.shape}]: the VAE takes [batch, height, width, 3], both sides ` +
          `multiples of ${patch}`,
      );
    }
    let x = this.#conv(tape, "encoder.conv_in", images);
    for (const i of encoder_ch_mult.keys()) {
      for (let k = 0; k < num_res_blocks; k++) {
        x = this.#resBlock(tape, `encoder.down.${i}.block.${k}`, x);
      }
      if (doubles(this.config, i + 1)) {
        x = this.#conv(tape, `encoder.down.${i}.downsample.conv`, x, RESAMPLE.down.how);
      }
    }
    return this.#end(tape, "encoder", this.#middle(tape, "encoder", x));
  }

  /**
   * Sums of codes [B, h, w, d] f32 to images [B, h·patch, w·patch, 3] f32, not clamped.
   *
   * @throws {InputError} `codes-shape`: the codes have another number of channels.
   */
  decode(tape: Tape, codes: Variable): Variable {
    const { decoder_ch_mult, num_res_blocks, codebook_dim } = this.config;
    const { shape } = codes.value;
    if (shape.length !== 4 || shape[3] !== codebook_dim) {
      throw new InputError(
        "codes-shape",
        `Cannot decode [${shape}]: the VAE takes [batch, height, width, ${codebook_dim}]`,
      );
    }
    let x = this.#middle(tape, "decoder", this.#conv(tape, "decoder.conv_in", codes));
    for (let i = decoder_ch_mult.length - 1; i >= 0; i--) {
      for (let k = 0; k <= num_res_blocks; k++) {
        x = this.#resBlock(tape, `decoder.up.${i}.block.${k}`, x);
      }
      if (doubles(this.config, i)) {
        x = this.#conv(tape, `decoder.up.${i}.upsample.conv`, x, RESAMPLE.up.how);
      }
    }
    return this.#end(tape, "decoder", x);
  }

  #middle(tape: Tape, side: string, x: Variable): Variable {
    const hidden = this.#resBlock(tape, `${side}.mid.block_1`, x);
    return this.#resBlock(tape, `${side}.mid.block_2`, hidden);
  }

  #end(tape: Tape, side: string, x: Variable): Variable {
    return this.#conv(tape, `${side}.conv_out`, this.#normSwish(tape, `${side}.norm_out`, x));
  }

  /** x + conv2(swish(norm2(conv1(swish(norm1(x)))))), with a 1 × 1 convolution of x where the channels change. */
  #resBlock(tape: Tape, name: string, x: Variable): Variable {
    const run = (tape: Tape): Variable => {
      const hidden = this.#layer(tape, `${name}.conv1`, this.#normSwish(tape, `${name}.norm1`, x));
      const last = this.#normSwish(tape, `${name}.norm2`, hidden);
      const same = x.value.shape.at(-1) === hidden.value.shape.at(-1);
      const residual = same ? x : this.#conv(tape, `${name}.nin_shortcut`, x);
      return this.#layer(tape, `${name}.conv2`, last, { residual });
    };
    return this.options.recompute ? tape.recompute(run) : run(tape);
  }

  #normSwish(tape: Tape, name: string, x: Variable): Variable {
    const { groups, eps } = normOptions(this.config);
    const weight = this.layers.get(`${name}.norm.weight`);
    const bias = this.layers.get(`${name}.norm.bias`);
    const some = normGroups(weight.value.elements, groups);
    return groupNorm(tape, x, { weight, bias, groups: some, eps, activation: "silu" });
  }

  /** A convolution that makes the residual stream, or another that stays f32. */
  #conv(tape: Tape, name: string, x: Variable, how: ConvGeometry = {}): Variable {
    return this.#layer(tape, name, x, { ...how, dtype: "f32" });
  }

  /** A convolution that makes an activation of the tape's type, or adds to the residual stream. */
  #layer(tape: Tape, name: string, x: Variable, options: Conv2dOptions = {}): Variable {
    const weight = this.layers.get(`${name}.conv.weight`);
    const bias = this.layers.get(`${name}.conv.bias`);
    return conv2d(tape, x, weight, bias, options);
  }
}
