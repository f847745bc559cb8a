/** Whether pixels in memory are as many as their size says. */

import { InputError } from "../../../engine/mod.ts";

/**
 * Refuses pixels that are no image, for callers without a type checker.
 *
 * @param verb What the caller does with them, for the message: `"encode"`.
 * @param size Pixels across and down.
 * @param values All channels of all pixels.
 * @param channels Values of a pixel.
 * @throws {InputError} `image-shape`.
 */
export function checkShape(
  verb: string,
  { width, height }: { readonly width: unknown; readonly height: unknown },
  values: Uint8Array | Uint8ClampedArray | Float32Array | undefined,
  channels: number,
): void {
  const sizes = [width, height].every((side) => Number.isInteger(side) && side as number > 0);
  const need = channels * (width as number) * (height as number);
  const count = values?.length ?? 0;
  if (sizes && count === need) return;
  const unit = values instanceof Float32Array ? "numbers" : "bytes";
  throw new InputError(
    "image-shape",
    sizes
      ? `Cannot ${verb} ${count} ${unit} as ${width}x${height} pixels: ${channels} ` +
        `channels are ${need}`
      : `Cannot ${verb} an image of ${width}x${height} pixels: both must be whole numbers above 0`,
  );
}
