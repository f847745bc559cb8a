/**
 * An image in the form that the model generates: bits, scale by scale. Plain data, without a GPU.
 *
 * @module
 */

import { InputError, isObject, quote } from "../../engine/mod.ts";
import { shuffled } from "./philox.ts";
import { describe, isGrid, isWhole } from "../config/check_value.ts";
import { type Grid, gridText, scheduleText } from "../config/grid.ts";
import { scheduleFault } from "../config/schedule.ts";

/** An image as bits: the binary codes of a visual tokenizer, coarse to fine (arXiv 2412.04431, section 3.2). */
export interface ImageBits {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Bits per position; 1 stands for the code +1/√d, 0 for −1/√d. */
  readonly d: number;
  /** Positions (rows, columns) of the full image: the grid that every scale is resized to. */
  readonly latent: Grid;
  /** Grids (rows, columns) of the scales present, in positions of the VAE. */
  readonly schedule: readonly Grid[];
  /** Bits by scale, [rows, columns, d] of 0 or 1. */
  readonly scales: readonly Uint8Array<ArrayBuffer>[];
  /** Name of the model, if known. */
  readonly model?: string;
  /** Name in messages: the file it was read from. */
  readonly name?: string;
}

/** Most pixels along a side, and bits per position, of an image. */
export const MAX_SIDE = 2 ** 16;
export const MAX_D = 9999;

/**
 * Checks that a value is an image's bits, for callers without a type checker.
 *
 * @param verb What the caller does with it, for the message.
 * @throws {InputError} `not-bits`; `bad-bits`: a field is malformed, a scale does not match the schedule, or holds other
 * values than 0 and 1.
 */
export function checkImageBits(value: unknown, verb: string): asserts value is ImageBits {
  if (!isObject(value) || !("scales" in value)) {
    throw new InputError(
      "not-bits",
      `Cannot ${verb} a value that is not bits: give what encode() returns`,
    );
  }
  const { width, height, d, latent, schedule, scales, model, name } = value;
  const refuse = (why: string): never => {
    const what = typeof name === "string" ? quote(name) : '"bits"';
    throw new InputError("bad-bits", `Cannot ${verb} ${what}: ${why}`);
  };
  const need = (is: boolean, field: string, what: unknown, kind: string) =>
    is || refuse(`its ${field} is ${describe(what)}, it must be ${kind}`);
  const side = `a whole number from 1 to ${MAX_SIDE}`;
  need(isWhole(width, 1, MAX_SIDE), "width", width, side);
  need(isWhole(height, 1, MAX_SIDE), "height", height, side);
  need(isWhole(d, 1, MAX_D), "d", d, `a whole number from 1 to ${MAX_D}`);
  need(isGrid(latent), "latent", latent, "[rows, columns]");
  need(isText(model), "model", model, "a string");
  need(isText(name), "name", name, "a string");
  const grids: unknown[] = Array.isArray(schedule) ? [...schedule] : [];
  const areGrids = grids.length > 0 && grids.every(isGrid);
  need(areGrids, "schedule", schedule, "a list of [rows, columns], whole numbers above 0");
  const fault = scheduleFault(grids as Grid[]);
  if (fault !== null) refuse(`its schedule may have ${fault}`);
  const lists = Array.isArray(scales) ? scales as unknown[] : [];
  for (const [s, grid] of (grids as Grid[]).entries()) {
    const bits = lists[s];
    if (!(bits instanceof Uint8Array)) {
      refuse(`scale ${s} is ${describe(bits)}, it must be a Uint8Array`);
    }
    const { length } = bits as Uint8Array;
    if (length !== grid[0] * grid[1] * (d as number)) {
      refuse(
        `scale ${s} has ${length} bits, its ${
          gridText(grid)
        } positions of ${d} bits need another ` +
          "number",
      );
    }
    const odd = (bits as Uint8Array).find((bit) => bit > 1);
    if (odd !== undefined) refuse(`scale ${s} holds ${odd}, bits are 0 or 1`);
  }
  if (lists.length !== grids.length) {
    refuse(`it has ${lists.length} scales, its schedule has ${grids.length}`);
  }
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

/** Counts the bits. */
export function bitCount({ scales }: Pick<ImageBits, "scales">): number {
  return scales.reduce((sum, bits) => sum + bits.length, 0);
}

/**
 * Keeps only the first scales: a coarser image of the same size.
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
 * @throws {InputError} `bad-value`: there are fewer scales, or `count` is not a whole number above 0; `not-bits`,
 * `bad-bits`.
 */
export function takeScales(bits: ImageBits, count: number): ImageBits {
  checkImageBits(bits, "take scales of");
  checkScaleCount(count, bits.scales.length);
  const [schedule, scales] = [bits.schedule.slice(0, count), bits.scales.slice(0, count)];
  return { ...bits, schedule, scales };
}

/** Checks a number of scales to keep. @throws {InputError} `bad-value`: it is not 1 to `there`. */
export function checkScaleCount(count: number, there: number): void {
  if (isWhole(count, 1, there)) return;
  throw new InputError(
    "bad-value",
    `Cannot take ${describe(count)} scales: the image has ${there}, use 1 to ${there}`,
  );
}

/**
 * Interpolates between two images: of the bits in which they differ, takes the share `t` from `to`, at every scale.
 * 0 gives `from`, 1 gives `to`, and no bit turns back as `t` grows.
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
 * @param seed Seed of the order in which bits turn.
 * @throws {InputError} `other-bits`: their scales differ; `bad-value`: `t` is out of range; `not-bits`, `bad-bits`.
 */
export function interpolateBits(
  from: ImageBits,
  to: ImageBits,
  t: number,
  seed: bigint = 0n,
): ImageBits {
  checkImageBits(from, "interpolate");
  checkImageBits(to, "interpolate");
  if (!(typeof t === "number" && t >= 0 && t <= 1)) {
    throw new InputError(
      "bad-value",
      `Cannot interpolate at ${describe(t)}: it must be from 0 to 1`,
    );
  }
  checkSeed(seed);
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

/** Checks the seed of a random order. @throws {InputError} `bad-value`: it is not a bigint of 64 bits. */
export function checkSeed(seed: bigint): void {
  if (typeof seed === "bigint" && BigInt.asUintN(64, seed) === seed) return;
  throw new InputError(
    "bad-value",
    `Cannot use seed ${describe(seed)}: it must be a bigint from 0n to 2n ** 64n - 1n`,
  );
}

/** Says why the bits of two images do not correspond; `null` if they do. */
export function otherScales(a: ImageBits, b: ImageBits): string | null {
  if (a.d !== b.d) return `one has ${a.d} bits a position, the other ${b.d}`;
  if (a.latent.join() !== b.latent.join()) {
    return `one has ${gridText(a.latent)} positions, the other ${gridText(b.latent)}`;
  }
  const [one, other] = [scheduleText(a.schedule), scheduleText(b.schedule)];
  return one === other ? null : `one has the scales ${one}, the other ${other}`;
}

/**
 * Reorders one image's bits from tokens [B, h/p · w/p, d·p²] to positions of the VAE [h, w, d]. p is 2 where a token
 * stands for a 2 × 2 square (`pixel_shuffle`: channel 4c + 2dy + dx), else 1.
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

/** Visits every bit with its index among tokens and its index among positions. */
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
      const corner = y % p * p + x % p;
      for (let c = 0; c < d; c++) visit(token + c * p * p + corner, at++);
    }
  }
}
