/// <reference lib="dom" />

/** Reads image files by the browser's own decoder, upright and in the colours of sRGB. */

import { FileError, quote } from "../../engine/mod.ts";
import type { ImageLimits } from "../../model/image/base/rows.ts";
import { isOpaque } from "../../model/image/base/shape.ts";
import type { Image } from "../../model/image/png.ts";
import type { OpenImage } from "../../model/image/read_image.ts";
import { fitAlpha, fitImage, fitMask } from "../../model/image/resize.ts";

/** The most pixels, as elsewhere. */
const MOST = 2 ** 27;

/** An image that is decoded. */
class DecodedFile implements OpenImage {
  readonly warnings: readonly string[] = [];
  readonly opaque: boolean;

  constructor(private readonly decoded: Image) {
    this.opaque = isOpaque(decoded.rgba);
  }

  get width(): number {
    return this.decoded.width;
  }

  get height(): number {
    return this.decoded.height;
  }

  fit(width: number, height: number): Promise<Float32Array<ArrayBuffer>> {
    return fitImage(this.decoded, width, height);
  }

  fitMask(width: number, height: number): Promise<Float32Array<ArrayBuffer>> {
    return fitMask(this.decoded, width, height);
  }

  fitAlpha(width: number, height: number): Promise<Float32Array<ArrayBuffer>> {
    return fitAlpha(this.decoded, width, height);
  }

  image(): Promise<Image> {
    return Promise.resolve(this.decoded);
  }
}

/**
 * Decodes an image file.
 *
 * @throws {FileError} `not-an-image`: the browser cannot decode it; `too-large`.
 */
export async function openImage(
  file: Uint8Array,
  name: string,
  { maxPixels = MOST }: ImageLimits = {},
): Promise<OpenImage> {
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "default" } as const;
  const bitmap = await createImageBitmap(new Blob([new Uint8Array(file)]), options).catch(
    (cause) => {
      const why = "the browser cannot decode it; save it as a PNG, JPEG or WebP image";
      throw new FileError("not-an-image", `Cannot read ${quote(name)}: ${why}`, { cause });
    },
  );
  const { width, height } = bitmap;
  try {
    if (width * height > maxPixels) {
      const message = `Cannot read ${quote(name)}: it has ${width}x${height} pixels`;
      throw new FileError("too-large", `${message}, more than ${maxPixels}`);
    }
    const canvas = new OffscreenCanvas(width, height).getContext("2d")!;
    canvas.drawImage(bitmap, 0, 0);
    const { data } = canvas.getImageData(0, 0, width, height);
    return new DecodedFile({ width, height, rgba: new Uint8Array(data.buffer) });
  } finally {
    bitmap.close();
  }
}

/** Whether a value is what {@linkcode openImage} returned. */
export function isOpenImage(value: unknown): value is OpenImage {
  return value instanceof DecodedFile;
}
