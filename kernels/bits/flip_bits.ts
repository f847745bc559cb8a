import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import philox from "../shared/philox.wgsl" with { type: "text" };
import { divideLines } from "../shared/divide.ts";
import { spread } from "../shared/spread.ts";
import type { RandomSource } from "./draw_strengths.ts";
import source from "./flip_bits.wgsl" with { type: "text" };

const kernel = defineKernel("flip_bits", source, ["x", "noise", "y"], [
  "count",
  "rows",
  "width",
  "quads",
  "first",
  "all",
  "seed",
  "step",
  "image",
  "scale",
  "scales",
]);

/** Which bits are flipped. */
export type Flips =
  /** Random ones, each with the probability of its image and scale. */
  | {
    /** [B, S] f32, see `drawStrengths`. */
    readonly strengths: Tensor;
    /** Index of the scale. */
    readonly scale: number;
    /** Seed and step. */
    readonly random: RandomSource;
  }
  /** Those where it is 1: [B, n, d] u32. */
  | { readonly mask: Tensor }
  /** None. */
  | null;

/** Arguments of {@link flipBits}. */
export interface FlipBitsArgs {
  /** Bits of all scales, [B, L, d] u32, 0 or 1. */
  readonly x: Tensor;
  /** First token of the scale. */
  readonly first: number;
  /** Bits of the scale's n tokens, [B, n, d] u32. */
  readonly y: Tensor;
  /** Which bits are flipped. */
  readonly flips: Flips;
}

const FLIPS = {
  random: `${philox}
fn flips(image: u32, token: u32, quad: u32) -> vec4<bool> {
  let counter = vec4(params.image + image, params.scale, token, quad);
  let words = philox(counter, vec2(params.seed, params.step));
  let strength = bitcast<f32>(noise[image * params.scales + params.scale]);
  return vec4(unit(words.x), unit(words.y), unit(words.z), unit(words.w)) < vec4(strength);
}`,
  mask: `fn flips(image: u32, token: u32, quad: u32) -> vec4<bool> {
  let row = (image * params.rows + token) * params.width;
  let last = row + params.width - 1;
  let at = row + 4 * quad;
  return vec4(
    noise[at],
    noise[min(at + 1, last)],
    noise[min(at + 2, last)],
    noise[min(at + 3, last)],
  ) == vec4(1u);
}`,
  none: "fn flips(image: u32, token: u32, quad: u32) -> vec4<bool> { return vec4<bool>(); }",
} as const;

const prelude = memoised((kind: keyof typeof FLIPS, divide: string): string =>
  `${divide}\n${FLIPS[kind]}`
);

/**
 * Copies the bits of a scale, and flips some: bitwise self-correction (arXiv 2412.04431, section 3.4; `flip_requant` in
 * infinity/models/bitwise_self_correction.py). Bit k of a token has word k mod 4 of the counter (image, scale, token,
 * ⌊k / 4⌋) with the key (seed, step), and is flipped if its high 24 bits, as a number in [0, 1), are below the strength.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function flipBits(device: Device, { x, first, y, flips }: FlipBitsArgs): void {
  const [B = 0, all = 0, d = 0] = x.shape;
  const [, rows = 0] = y.shape;
  const kind = flips === null ? "none" : "mask" in flips ? "mask" : "random";
  const noise = flips === null ? null : "mask" in flips ? flips.mask : flips.strengths;
  const { scale = 0, random = { seed: 0, step: 0 } } = flips && "random" in flips ? flips : {};
  const scales = kind === "random" ? noise!.elements / B : 0;
  const fits = { none: true, mask: noise?.elements === y.elements, random: scale < scales }[kind];
  if (
    x.shape.length !== 3 || y.shape.join() !== [B, rows, d].join() || first + rows > all || !fits ||
    scales % 1
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot flip bits of [${x.shape}], from token ${first} on, into [${y.shape}]` +
        (noise ? ` by ${kind} [${noise.shape}]` : ""),
    );
  }
  const quads = Math.ceil(d / 4);
  const count = B * rows * quads;
  const { WG, workgroups } = spread(device, count);
  const { seed, step, image = 0 } = random;
  device.run(kernel, {
    specialise: { WG },
    functions: prelude(kind, divideLines(device, count)),
    bind: { x, noise, y },
    params: { count, rows, width: d, quads, first, all, seed, step, image, scale, scales },
    workgroups,
  });
}
