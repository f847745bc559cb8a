/** Images as bytes and as numbers. */

import type { Image } from "../../model/image/png.ts";
import type { Images } from "../../model/training/data/base/measures.ts";

/** RGB from −1 to 1 as bytes of an opaque image. */
export function rgbaOf(rgb: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const rgba = new Uint8Array(4 * rgb.length / 3).fill(255);
  for (let i = 0; i < rgb.length; i++) {
    rgba[4 * Math.floor(i / 3) + i % 3] = (rgb[i]! + 1) * 127.5;
  }
  return rgba;
}

/** Images of one size as bytes. */
export function bytesOf({ values, size }: Images): Image[] {
  const one = 3 * size * size;
  return Array.from({ length: values.length / one }, (_, i) => {
    const rgba = rgbaOf(values.subarray(i * one, (i + 1) * one));
    return { width: size, height: size, rgba };
  });
}

/** Square images of one size, one or more, as RGB from −1 to 1; alpha is ignored. */
export function valuesOf(
  images: readonly Image[],
): Images & { readonly values: Float32Array<ArrayBuffer> } {
  const size = images[0]!.width;
  const values = new Float32Array(3 * size * size * images.length);
  let at = 0;
  for (const { rgba } of images) {
    for (let i = 0; i < rgba.length; i++) {
      if (i % 4 < 3) values[at++] = rgba[i]! / 127.5 - 1;
    }
  }
  return { values, size };
}
