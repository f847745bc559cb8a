/**
 * An image as what the model makes it of: bits, scale by scale. Plain data, without a GPU.
 *
 * @module
 */

import { InputError } from "../../engine/mod.ts";
import { shuffled } from "./philox.ts";
import { type Grid, gridText, scheduleText } from "../config/grid.ts";

/** An image as bits: the binary codes of a visual tokenizer, coarse to fine (arXiv 2412.04431, section 3.2). */
export interface ImageBits {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Bits of a position; 1 stands for the code +1/√d, 0 for −1/√d. */
  readonly d: number;
  /** Positions (rows, columns) of the whole image: the grid that every scale is resized to. */
  readonly latent: Grid;
  /** Grids (rows, columns) of the scales that are there, in positions of the VAE. */
  readonly schedule: readonly Grid[];
  /** Bits by scale, [rows, columns, d] of 0 or 1. */
  readonly scales: readonly Uint8Array<ArrayBuffer>[];
  /** Name of the model, if it is known. */
  readonly model?: string;
  /** What messages call it: the file it was read from. */
  readonly name?: string;
}

/** Number of bits. */
export function bitCount({ scales }: Pick<ImageBits, "scales">): number {
  return scales.reduce((sum, bits) => sum + bits.length, 0);
}

/**
 * The first scales alone: a coarser image of the same size.
 *
 * @example
 * ```ts
 * import { InfinityModel, takeScales } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images: [apple] } = await model.generate({ prompt: "red apple" });
 * const coarse = await model.decode(takeScales(apple!.bits, 2));
 * console.log(coarse.width); // as wide as before
 * ```
 *
 * @throws {InputError} `bad-value`: there are not so many scales, or none is left.
 */
export function takeScales(bits: ImageBits, count: number): ImageBits {
  checkScaleCount(count, bits.scales.length);
  const [schedule, scales] = [bits.schedule.slice(0, count), bits.scales.slice(0, count)];
  return { ...bits, schedule, scales };
}

/** @throws {InputError} `bad-value`: not 1 to `there`. */
export function checkScaleCount(count: number, there: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= there) return;
  throw new InputError(
    "bad-value",
    `Cannot take ${count} scales: the image has ${there}, use 1 to ${there}`,
  );
}

/**
 * An image between two: of the bits in which they differ, the share `t` is taken from `to`, at every scale the same
 * share. 0 gives `from`, 1 gives `to`, and no bit turns back as `t` grows.
 *
 * @example
 * ```ts
 * import { InfinityModel, interpolateBits } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images: [cat, dog] } = await model.generate({ prompt: ["cat face", "dog face"] });
 * const between = await model.decode(interpolateBits(cat!.bits, dog!.bits, 0.5));
 * console.log(between.width);
 * ```
 *
 * @param t From 0 to 1.
 * @param seed Of the order in which bits turn.
 * @throws {InputError} `other-bits`: the two have other scales; `bad-value`: `t` is out of range.
 */
export function interpolateBits(
  from: ImageBits,
  to: ImageBits,
  t: number,
  seed: bigint = 0n,
): ImageBits {
  if (!(t >= 0 && t <= 1)) {
    throw new InputError("bad-value", `Cannot interpolate at ${t}: it must be from 0 to 1`);
  }
  const why = otherScales(from, to);
  if (why) throw new InputError("other-bits", `Cannot interpolate: ${why}`);
  const scales = from.scales.map((bits, s) => {
    const other = to.scales[s]!;
    const differing = [...bits.keys()].filter((i) => bits[i] !== other[i]);
    const between = bits.slice();
    for (const i of shuffled(differing, seed, s).slice(0, Math.round(t * differing.length))) {
      between[i] = other[i]!;
    }
    return between;
  });
  const { name: _, ...rest } = from;
  return { ...rest, scales };
}

/** Why two images' bits do not lie over each other, in words; `null` if they do. */
export function otherScales(a: ImageBits, b: ImageBits): string | null {
  if (a.d !== b.d) return `one has ${a.d} bits a position, the other ${b.d}`;
  if (a.latent.join() !== b.latent.join()) {
    return `one has ${gridText(a.latent)} positions, the other ${gridText(b.latent)}`;
  }
  const [one, other] = [scheduleText(a.schedule), scheduleText(b.schedule)];
  if (one !== other) return `one has the scales ${one}, the other ${other}`;
  const bad = a.schedule.findIndex((_, s) => a.scales[s]?.length !== b.scales[s]?.length);
  return bad < 0 ? null : `one has other bits at scale ${bad} than the other`;
}

/**
 * One image's bits of a scale of tokens [B, h/p · w/p, d·p²], in positions of the VAE [h, w, d]: p is 2 where a token
 * stands for a square (`pixel_shuffle`; channel 4c + 2dy + dx), else 1.
 */
export function bitsOfTokens(
  tokens: ArrayLike<number>,
  image: number,
  [h, w]: Grid,
  d: number,
  patchify: boolean,
): Uint8Array<ArrayBuffer> {
  const start = image * h * w * d;
  const bits = new Uint8Array(h * w * d);
  forEachBit([h, w], d, patchify, (token, at) => bits[at] = tokens[start + token]!);
  return bits;
}

/** The inverse of {@link bitsOfTokens} for one image. */
export function tokensOfBits(
  bits: ArrayLike<number>,
  [h, w]: Grid,
  d: number,
  patchify: boolean,
): Uint8Array<ArrayBuffer> {
  const tokens = new Uint8Array(h * w * d);
  forEachBit([h, w], d, patchify, (token, at) => tokens[token] = bits[at]!);
  return tokens;
}

/** Visits the place of every bit among tokens, and among positions. */
function forEachBit(
  [h, w]: Grid,
  d: number,
  patchify: boolean,
  visit: (token: number, position: number) => void,
): void {
  const p = patchify ? 2 : 1;
  let at = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const token = (Math.floor(y / p) * (w / p) + Math.floor(x / p)) * d * p * p;
      const place = y % p * p + x % p;
      for (let c = 0; c < d; c++) visit(token + c * p * p + place, at++);
    }
  }
}
