/**
 * A patch discriminator (Isola et al., "Image-to-image translation with conditional adversarial networks", 2017), which
 * the visual tokenizer may be trained against: it says of each patch of an image whether it looks real.
 *
 * @module
 */

import type { Tensor } from "../../../engine/mod.ts";
import type { HingeRole } from "../../../kernels/losses/hinge_loss.ts";
import type { Gradient } from "../../../kernels/shared/gradient.ts";
import type { NamedShape } from "../../checkpoint/tensor_shapes.ts";
import { RESAMPLE } from "../../vae/resampling.ts";
import { activation } from "../ops/activation.ts";
import { hingeLoss } from "../ops/losses/hinge_loss.ts";
import { conv2d } from "../ops/tokenizer/conv2d.ts";
import { groupNorm } from "../ops/tokenizer/group_norm.ts";
import type { Tape } from "../tape/tape.ts";
import { Variable } from "../tape/variable.ts";
import type { Layers } from "./layers.ts";

/** Channels after each convolution with steps of two pixels. */
const CHANNELS = [64, 128, 256] as const;

/** Groups of channels of a norm. */
const GROUPS = 32;

/** Names and shapes of the discriminator's parameters, which a training has besides those of the model. */
export function discriminatorShapes(): NamedShape[] {
  return [
    ...CHANNELS.flatMap((channels, i): NamedShape[] => [
      [`discriminator.down.${i}.conv.weight`, [channels, CHANNELS[i - 1] ?? 3, 3, 3]],
      [`discriminator.down.${i}.conv.bias`, [channels]],
      ...i > 0
        ? ["weight", "bias"].map((end): NamedShape => [
          `discriminator.down.${i}.norm.${end}`,
          [channels],
        ])
        : [],
    ]),
    ["discriminator.conv_out.weight", [1, CHANNELS.at(-1)!, 3, 3]],
    ["discriminator.conv_out.bias", [1]],
  ];
}

/** Answers [B, h, w, 1] f32 to images [B, H, W, 3], one for each 8 × 8 pixels: large for patches that look real. */
export function discriminate(tape: Tape, layers: Layers, images: Variable): Variable {
  const conv = (name: string, x: Variable, how: Parameters<typeof conv2d>[4]) =>
    conv2d(tape, x, layers.get(`${name}.weight`), layers.get(`${name}.bias`), how);
  let x = images;
  for (const i of CHANNELS.keys()) {
    const name = `discriminator.down.${i}`;
    x = conv(`${name}.conv`, x, RESAMPLE.down.how);
    if (i === 0) {
      x = activation(tape, x, "silu");
      continue;
    }
    const [weight, bias] = [layers.get(`${name}.norm.weight`), layers.get(`${name}.norm.bias`)];
    x = groupNorm(tape, x, { weight, bias, groups: GROUPS, eps: 1e-6, activation: "silu" });
  }
  return conv("discriminator.conv_out", x, { dtype: "f32" });
}

/** Arguments of {@link adversarialLosses}. */
export interface AdversarialOptions {
  /** Where the discriminator's parameters are, which learn. */
  readonly layers: Layers;
  /** Real images, [B, H, W, 3] f32. */
  readonly real: Tensor;
  /** What the generator's loss counts; the discriminator's counts 1. */
  readonly factor: number;
  /** For a log, [2] f32 each: a loss, and the share of patches that the discriminator knows. */
  readonly stats?: {
    /** Of generated images, as they are to deceive. */
    readonly generator: Gradient;
    /** Of real ones. */
    readonly real: Gradient;
    /** Of generated ones, as they are to be known. */
    readonly fake: Gradient;
  };
}

/**
 * Sends both sides their gradients of the hinge losses: generated images y learn to look real to the discriminator as it
 * is, and the discriminator learns to tell them from real ones as they are. So one step of one optimiser trains both.
 */
export function adversarialLosses(tape: Tape, y: Variable, options: AdversarialOptions): void {
  const { layers, real, factor, stats } = options;
  const { device } = tape;
  const frozen: Layers = { get: (name) => Variable.constant(device, layers.get(name).value) };
  const send = (role: HingeRole, images: Variable, by: Layers, factor: number) =>
    hingeLoss(tape, discriminate(tape, by, images), {
      role,
      factor,
      ...stats && { stats: stats[role] },
    });
  send("generator", y, frozen, factor);
  send("real", tape.constant(real), layers, 0.5);
  send("fake", tape.constant(y.value), layers, 0.5);
}
