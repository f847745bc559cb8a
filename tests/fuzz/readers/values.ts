// Values that programs without a type checker may pass.
import { InputError } from "../../../engine/mod.ts";
import nano from "../../../assets/models/emoji-nano/config.json" with { type: "json" };
import type { ImageBits } from "../../../model/bits/image_bits.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { PNG } from "../../model/image/image_files.ts";
import { json, number } from "../mutate.ts";
import type { Random } from "../random.ts";

/** The config of emoji-nano. */
export const CONFIG = parseConfig(nano, "config.json");
/** The reason of signals and callbacks, which callers get back. */
const STOP = new InputError("stopped", "Cannot go on: the caller stopped it");

/** A value of any type. */
export function value(random: Random): unknown {
  return random.pick<() => unknown>([
    () => json(random),
    () => json(random),
    () => number(random),
    () => number(random),
    () => BigInt(random.below(2 ** 40)) * (random.chance(0.5) ? 1n : -(2n ** 70n)),
    () => undefined,
    () => Symbol("s"),
    () => () => {
      throw STOP;
    },
    () => AbortSignal.abort(STOP),
    () => new Uint8Array(random.below(100)).fill(random.below(4)),
    () => new Float32Array(random.below(100)).fill(number(random)),
    () => new Uint8ClampedArray(16),
    () => new ArrayBuffer(8),
    () => new Date(0),
    () => new Map([["a", 1]]),
    () => Object.create(null),
    () => ({ toString: null, constructor: null }),
    () => new (class Strange extends Array {})(),
    () => Array.from({ length: random.below(9) }),
    () => new Proxy({}, {}),
    () => ({ ...image(random), ...random.chance(0.5) && { width: number(random) } }),
    () => bits(random),
    () => PNG,
  ])();
}

/** Pixels, or too many or too few. */
export function image(random: Random): object {
  const [width, height] = [1 + random.below(40), 1 + random.below(40)];
  const length = width * height;
  const off = random.chance(0.9) ? 0 : random.below(9) - 4;
  return random.chance(0.7)
    ? { width, height, rgba: new Uint8Array(Math.max(0, 4 * length + off)) }
    : { width: 32, height: 32, rgb: new Float32Array(3 * 32 * 32).fill(number(random)) };
}

const SIZES = [1, 2, 3, 4];

/** Bits of an image, or something like them. */
export function bits(random: Random): ImageBits {
  const right = {
    width: 32,
    height: 32,
    d: 32,
    latent: [4, 4],
    schedule: SIZES.map((side) => [side, side]),
    scales: SIZES.map((side) => new Uint8Array(side * side * 32).fill(random.below(2))),
  };
  if (random.chance(0.4)) return right as unknown as ImageBits;
  const key = random.pick(Object.keys(right));
  return { ...right, [key]: value(random) } as unknown as ImageBits;
}
