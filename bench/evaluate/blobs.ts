/** Counts things without knowing what they are. */

import { imageCount, type Images, shrink } from "../../model/training/data/base/measures.ts";

/** A channel below this, from −1 to 1, is not white. */
const WHITE = 0.8;
/** The share of an image above which a blob is a thing, and not a speck. */
const SPECK = 0.008;

/** For each image, how many things are on white: areas that touch only at corners are several. */
export function countBlobs(images: Images): number[] {
  // half the size, so that noise does not join things
  const small = shrink(images, images.size / 2);
  const pixels = small.size ** 2;
  return Array.from({ length: imageCount(small) }, (_, image) => {
    const inked = new Uint8Array(pixels);
    for (let i = 0; i < pixels; i++) {
      const at = 3 * (image * pixels + i);
      inked[i] = Number(small.values.subarray(at, at + 3).some((value) => value < WHITE));
    }
    return inked.filter((_, i) => inked[i] && erase(inked, small.size, i) > SPECK * pixels).length;
  });
}

/** Erases the area of a pixel, and returns how many pixels it had. */
function erase(inked: Uint8Array, size: number, start: number): number {
  const todo = [start];
  inked[start] = 0;
  let area = 0;
  while (todo.length > 0) {
    const at = todo.pop()!;
    area++;
    const x = at % size;
    for (
      const [next, inside] of [
        [at - 1, x > 0],
        [at + 1, x < size - 1],
        [at - size, at >= size],
        [at + size, at < size * (size - 1)],
      ] as const
    ) {
      if (!inside || !inked[next]) continue;
      inked[next] = 0;
      todo.push(next);
    }
  }
  return area;
}
