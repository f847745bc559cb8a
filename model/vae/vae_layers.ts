/**
 * The layers of the VAE's encoder and decoder, and their way through a batch.
 *
 * Each layer takes its input over: it disposes it, or returns it as its output.
 *
 * @module
 */

import { ConfigError, type Device, type Tensor } from "../../engine/mod.ts";
import { conv2d } from "../../kernels/conv/conv2d.ts";
import { type Conv, packConv } from "../../kernels/conv/conv2d_weight.ts";
import type { FloatType } from "../../kernels/linear/weight_types.ts";
import { textureTexels, usesTexture } from "../../kernels/shared/textures.ts";
import { applyGroupNorm, groupNorm } from "../../kernels/norm/group_norm.ts";
import { groupNormMoments } from "../../kernels/norm/group_norm_moments.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { VaeConfig } from "../config/types.ts";
import { RESAMPLE, type Resampling } from "./resampling.ts";
import { type Bands, convolveInPlace, type StripMemory } from "./vae_strips.ts";

/** Newer checkpoints wrap each layer once more: `conv1.conv.weight` instead of `conv1.weight`. */
function innerName(weights: Weights, name: string, inner: "conv" | "norm"): string {
  return !weights.has(`${name}.${inner}.weight`) && weights.has(`${name}.weight`)
    ? name
    : `${name}.${inner}`;
}

/** What all norms of a VAE have in common. */
export interface NormOptions {
  /** Groups of channels; 24 if this does not divide the channels, as in the official code. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
}

/** Reads the options of norms from a VAE's config. */
export function normOptions({ norm_groups = 32, norm_eps = 1e-6 }: VaeConfig): NormOptions {
  return { groups: norm_groups, eps: norm_eps };
}

/**
 * Number of groups of a norm of `C` channels.
 *
 * @throws {ConfigError} `vae-channels`: the channels divide into neither `groups` nor 24.
 */
export function normGroups(C: number, groups: number): number {
  const found = [groups, 24].find((n) => C % n === 0);
  if (found !== undefined) return found;
  throw new ConfigError(
    "vae-channels",
    `Cannot normalise ${C} channels in ${groups} or 24 groups: change the VAE's base_ch`,
  );
}

/** Bytes of the largest activation that a kernel can bind, or copy to a texture on software adapters. */
export function largestBinding(device: Device): number {
  const { maxBufferSize = 0, maxStorageBufferBindingSize = 0 } = device.capabilities.limits;
  const texture = usesTexture(device) ? 16 * textureTexels(device) : Infinity;
  return Math.min(maxBufferSize, maxStorageBufferBindingSize, texture);
}

/** Loads the convolution `name` from `C` to `N` channels. */
export async function loadConv(
  weights: Weights,
  name: string,
  C: number,
  N: number,
  size: 1 | 3 = 3,
): Promise<Conv> {
  const inner = innerName(weights, name, "conv");
  const weight = await weights.tensor(`${inner}.weight`, [N, C, size, size]);
  const bias = await weights.tensor(`${inner}.bias`, [N]);
  const { device, dtype } = weights;
  const conv = device.allOrNothing(() => packConv(device, weight, bias, dtype, `weight ${name}`));
  weight.dispose();
  weights.keep(conv.weight);
  return conv;
}

/** Runs a 3 × 3 or 1 × 1 convolution into a new tensor of `dtype`; disposes `x`. */
export function convolve(
  device: Device,
  conv: Conv,
  x: Tensor,
  dtype: FloatType,
  resample?: Resampling,
): Tensor {
  const [B = 0, H = 0, W = 0] = x.shape;
  const { scale, how } = resample ? RESAMPLE[resample] : { scale: 1, how: {} };
  const shape = [B, Math.floor(H * scale), Math.floor(W * scale), conv.N];
  const y = device.tensor(dtype, shape, "VAE activations");
  conv2d(device, { x, conv, y, ...how });
  x.dispose();
  return y;
}

/** Doubles or halves the size of `x` by a convolution of its values in `dtype`; disposes it. */
export function resampleWhole(
  device: Device,
  conv: Conv,
  x: Tensor,
  dtype: FloatType,
  resample: Resampling,
): Tensor {
  if (x.dtype === dtype) return convolve(device, conv, x, "f32", resample);
  const { elements, shape } = x;
  const C = shape.at(-1)!;
  const copy = device.tensor(dtype, shape, "VAE activations");
  const rows = elements / C;
  copyRows(device, { x: x.reshape(1, rows, C), y: copy.reshape(1, rows, C), rows });
  x.dispose();
  return convolve(device, conv, copy, "f32", resample);
}

/** GroupNorm, then swish: `Normalize` and `swish` of the official code. */
export class NormSwish {
  private constructor(
    private readonly weight: Tensor,
    private readonly bias: Tensor,
    private readonly groups: number,
    private readonly eps: number,
    private readonly dtype: FloatType,
  ) {}

  /**
   * Loads the norm `name` of `C` channels.
   *
   * @throws {ConfigError} `vae-channels`: the channels divide into neither number of groups.
   */
  static async load(
    weights: Weights,
    name: string,
    C: number,
    options: NormOptions,
  ): Promise<NormSwish> {
    const groups = normGroups(C, options.groups);
    const inner = innerName(weights, name, "norm");
    const weight = await weights.tensor(`${inner}.weight`, [C]);
    const bias = await weights.tensor(`${inner}.bias`, [C]);
    return new NormSwish(weight, bias, groups, options.eps, weights.activations);
  }

  /** Computes swish(norm(x)) as a new tensor; `x` stays the caller's. */
  run(device: Device, x: Tensor): Tensor {
    const { weight, bias, groups, eps, dtype } = this;
    const y = device.tensor(dtype, x.shape, "VAE activations");
    groupNorm(device, { x, weight, bias, y, groups, eps, activation: "silu" });
    return y;
  }

  /**
   * Computes y = conv(swish(norm(x))), or adds it to y, strip by strip with the statistics of whole images. A strip
   * includes the rows above and below that a 3 × 3 kernel reads, so every row has the same bits as without strips.
   */
  convolve(
    memory: StripMemory,
    x: Bands,
    conv: Conv,
    y: Bands,
    epilogue: "none" | "add" = "none",
  ): void {
    const { device } = memory;
    const { weight, bias, groups, eps } = this;
    const [B, H, W, C] = x.shape;
    using moments = groupNormMoments(device, { x: x.tensors, weight, groups, eps });
    const rows = memory.rows(W, C);
    for (let image = 0; image < B; image++) {
      for (const { tensor, top, first: from, count: all } of y.parts(0, H)) {
        for (let first = from; first < from + all; first += rows) {
          const count = Math.min(rows, from + all - first);
          const begin = Math.max(0, first - 1);
          const end = Math.min(H, first + count + 1);
          const strip = memory.strip([1, end - begin, W, C]);
          for (const part of x.parts(begin, end - begin)) {
            applyGroupNorm(device, {
              x: part.tensor,
              moments,
              bias,
              y: strip,
              activation: "silu",
              strip: {
                image,
                begin: part.first - part.top,
                rows: part.count,
                to: part.first - begin,
              },
            });
          }
          const where = { image, begin, first, count, top, height: H };
          conv2d(device, { x: strip, conv, y: tensor, epilogue, strip: where });
        }
      }
    }
  }
}

/** x + conv2(swish(norm2(conv1(swish(norm1(x)))))), with a 1 × 1 convolution of x where the channels change. */
export class ResBlock {
  private constructor(
    private readonly norm1: NormSwish,
    private readonly conv1: Conv,
    private readonly norm2: NormSwish,
    private readonly conv2: Conv,
    private readonly shortcut: Conv | null,
    private readonly dtype: FloatType,
  ) {}

  /** Loads the block `name` from `C` to `N` channels. */
  static async load(
    weights: Weights,
    name: string,
    C: number,
    N: number,
    norm: NormOptions,
  ): Promise<ResBlock> {
    return new ResBlock(
      await NormSwish.load(weights, `${name}.norm1`, C, norm),
      await loadConv(weights, `${name}.conv1`, C, N),
      await NormSwish.load(weights, `${name}.norm2`, N, norm),
      await loadConv(weights, `${name}.conv2`, N, N),
      C === N ? null : await loadConv(weights, `${name}.nin_shortcut`, C, N, 1),
      weights.activations,
    );
  }

  /** Runs the block; takes `x` over, and without a shortcut adds in its memory. */
  run(device: Device, x: Tensor): Tensor {
    const hidden = convolve(device, this.conv1, this.norm1.run(device, x), this.dtype);
    const h = this.norm2.run(device, hidden);
    hidden.dispose();
    const y = this.shortcut ? convolve(device, this.shortcut, x, "f32") : x;
    conv2d(device, { x: h, conv: this.conv2, y, epilogue: "add" });
    h.dispose();
    return y;
  }

  /** Runs the block in `memory`, with the same bits: `x` is its current activation, and so is the result. */
  runInStrips(memory: StripMemory, x: Bands): Bands {
    const [B, H, W] = x.shape;
    const hidden = memory.hidden([B, H, W, this.conv1.N]);
    this.norm1.convolve(memory, x, this.conv1, hidden);
    const y = this.shortcut ? convolveInPlace(memory, this.shortcut, x) : x;
    this.norm2.convolve(memory, hidden, this.conv2, y, "add");
    return y;
  }
}

/**
 * Runs `pass` over a batch [B, …] in parts of `perPass` images, which does not change a bit of them. `x` stays the
 * caller's; a batch that fits is passed on as it is.
 */
export function inParts(
  device: Device,
  x: Tensor,
  perPass: number,
  pass: (part: Tensor) => Tensor,
): Tensor {
  const [B = 0] = x.shape;
  if (perPass >= B) return pass(x);
  let y: Tensor | undefined;
  for (let at = 0; at < B; at += perPass) {
    const view = x.rows(at, Math.min(perPass, B - at));
    // a copy, because a view that starts at any image may not be aligned for a kernel
    const part = device.tensor(x.dtype, view.shape, "part of a batch");
    device.copy(view, part);
    const made = pass(part);
    y ??= device.tensor(made.dtype, [B, ...made.shape.slice(1)], "VAE output");
    device.copy(made, y, at * made.byteLength / view.shape[0]!);
    part.dispose();
    made.dispose();
  }
  return y!;
}

/** Loads the two residual blocks in the middle of the encoder or decoder. */
export async function loadMiddle(
  weights: Weights,
  side: "encoder" | "decoder",
  C: number,
  norm: NormOptions,
): Promise<ResBlock[]> {
  const blocks: ResBlock[] = [];
  for (const name of ["block_1", "block_2"]) {
    blocks.push(await ResBlock.load(weights, `${side}.mid.${name}`, C, C, norm));
  }
  return blocks;
}
