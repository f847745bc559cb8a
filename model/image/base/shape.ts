/** Whether pixels in memory are as many as their size says. */

import { InputError, isObject } from "../../../engine/mod.ts";
import { describe, isWhole } from "../../config/check_value.ts";

/** Channels of a pixel, and the kind of array that holds them. */
const LAYOUTS = {
  rgba: { channels: 4, unit: "bytes", types: [Uint8Array, Uint8ClampedArray] },
  rgb: { channels: 3, unit: "numbers", types: [Float32Array] },
} as const;

/**
 * Refuses a value that is not an image, for callers without a type checker.
 *
 * @param verb What the caller does with it, for the message: `"encode"`.
 * @param image `{ width, height, rgba }` or `{ width, height, rgb }`.
 * @param layout Which of the two.
 * @throws {InputError} `not-an-image`, `image-shape`.
 */
export function checkShape(verb: string, image: unknown, layout: "rgba" | "rgb"): void {
  const { channels, unit, types } = LAYOUTS[layout];
  const { width, height, [layout]: values } = isObject(image) ? image : {};
  if (!isObject(image) || !types.some((type) => values instanceof type)) {
    const what = isObject(image) ? `${describe(values)} as pixels` : describe(image);
    throw new InputError(
      "not-an-image",
      `Cannot ${verb} ${what}: give { width, height, ${layout} } with ${unit} in ${types[0].name}`,
    );
  }
  if (!isWhole(width, 1) || !isWhole(height, 1)) {
    throw new InputError(
      "image-shape",
      `Cannot ${verb} an image of ${describe(width)}x${describe(height)} pixels: both must be ` +
        "whole numbers above 0",
    );
  }
  const { length } = values as Uint8Array;
  if (length === channels * width * height) return;
  throw new InputError(
    "image-shape",
    `Cannot ${verb} ${length} ${unit} as ${width}x${height} pixels: ${channels} channels are ` +
      `${channels * width * height}`,
  );
}

/** Whether a value is an array of bytes that can hold 8-bit RGBA. */
export function isBytes(value: unknown): value is Uint8Array {
  return LAYOUTS.rgba.types.some((type) => value instanceof type);
}

/** Whether every pixel of 8-bit RGBA has alpha 255. */
export function isOpaque(rgba: Uint8Array): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}
