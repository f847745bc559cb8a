import { enlarge, type Pixels } from "./enlarge.ts";

/** Tiles are enlarged to at most this many pixels, so that small images can be seen. */
const TILE = 128;
const GAP = 8;

/**
 * Lays images out in rows on white.
 *
 * @param images One image or more, all of the same size.
 * @param columns Images in a row.
 * @param factor By how much each is enlarged; if absent, small images grow to about 128 pixels.
 */
export function contactSheet(
  images: readonly Pixels[],
  columns: number,
  factor?: number,
): Pixels {
  const { width: w, height: h } = images[0]!;
  const zoom = factor ?? Math.floor(TILE / Math.min(w, h));
  const tiles = images.map((image) => enlarge(image, zoom));
  const { width: across, height: down } = tiles[0]!;
  const width = columns * (across + GAP) + GAP;
  const height = Math.ceil(images.length / columns) * (down + GAP) + GAP;
  const rgba = new Uint8Array(width * height * 4).fill(255);
  tiles.forEach((tile, i) => {
    const left = GAP + (i % columns) * (across + GAP);
    const top = GAP + Math.floor(i / columns) * (down + GAP);
    for (let y = 0; y < down; y++) {
      const row = tile.rgba.subarray(4 * y * across, 4 * (y + 1) * across);
      rgba.set(row, 4 * ((top + y) * width + left));
    }
  });
  return { width, height, rgba };
}
