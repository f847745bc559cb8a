import type { Draws } from "../base/draws.ts";

/** Copies pixels of three channels, each row from right to left. */
export function mirrored(rgb: Float32Array, width: number, target: Float32Array): void {
  for (let i = 0; i < rgb.length; i += 3) {
    const [row, column] = [Math.floor(i / 3 / width), i / 3 % width];
    const from = 3 * (row * width + width - 1 - column);
    for (let c = 0; c < 3; c++) target[i + c] = rgb[from + c]!;
  }
}

/** Different pictures of `count` images, of which some are mirrored with that probability. */
export function picturesOf(count: number, mirror: number): number {
  return mirror > 0 ? 2 * count : count;
}

/** Copies the image at a place, which `draws` may mirror with that probability; returns the number of the picture. */
export function copyPicture(
  { rgb, place, width }: { rgb: Float32Array; place: number; width: number },
  target: Float32Array,
  draws: Draws,
  mirror: number,
): number {
  const turned = draws.odds(mirror);
  if (turned) mirrored(rgb, width, target);
  else target.set(rgb);
  return mirror > 0 ? 2 * place + Number(turned) : place;
}
