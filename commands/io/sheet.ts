/** Images laid out for people to look at. */

/** Small images are enlarged to at least this many pixels, or nobody would see them. */
const VISIBLE = 128;
const GAP = 8;

/** An RGBA image. */
export interface Pixels {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** RGBA bytes, row-major. */
  readonly rgba: Uint8Array;
}

/**
 * Lays images of one size out in rows on white, small ones enlarged by whole numbers.
 *
 * @param images One image or more, all of one size.
 * @param columns Images in a row.
 */
export function contactSheet(images: readonly Pixels[], columns: number): Pixels {
  const { width: w, height: h } = images[0]!;
  const zoom = Math.floor(VISIBLE / Math.min(w, h));
  const tiles = images.map((image) => zoomed(image, zoom));
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

function zoomed(image: Pixels, factor: number): Pixels {
  if (factor <= 1) return image;
  const [width, height] = [image.width * factor, image.height * factor];
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (Math.floor(y / factor) * image.width + Math.floor(x / factor));
      rgba.set(image.rgba.subarray(from, from + 4), 4 * (y * width + x));
    }
  }
  return { width, height, rgba };
}
