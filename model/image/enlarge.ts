/** An RGBA image. */
export interface Pixels {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** RGBA bytes, row-major. */
  readonly rgba: Uint8Array;
}

/** Enlarges an image by an integer factor, each pixel to a square (nearest neighbour). */
export function enlarge({ width, height, rgba }: Pixels, factor: number): Pixels {
  if (factor <= 1) return { width, height, rgba };
  const source = new Uint32Array(rgba.slice().buffer);
  const across = width * factor;
  const pixels = new Uint32Array(across * height * factor);
  for (let y = 0; y < height; y++) {
    const top = y * factor * across;
    for (let x = 0; x < width; x++) {
      const left = top + x * factor;
      pixels.fill(source[y * width + x]!, left, left + factor);
    }
    for (let copy = 1; copy < factor; copy++) {
      pixels.copyWithin(top + copy * across, top, top + across);
    }
  }
  return { width: across, height: height * factor, rgba: new Uint8Array(pixels.buffer) };
}

/** Encodes an image as a PNG, enlarged. */
export async function encodeImage(
  image: Pixels,
  factor = 1,
  text: Record<string, string> = {},
): Promise<{ readonly png: Uint8Array; readonly width: number; readonly height: number }> {
  const { encodePng } = await import("./png.ts");
  const { width, height, rgba } = enlarge(image, factor);
  return { png: encodePng(rgba, width, height, text), width, height };
}
