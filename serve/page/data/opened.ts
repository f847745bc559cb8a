/// <reference lib="dom" />

import { Failure } from "./failure.ts";
import { canvasFile, MaskLayer } from "./mask_layer.ts";

/** Pixels of the longer side of a picture to start from; larger ones are made smaller. */
const MAX_SIDE = 1024;

/** A picture to start from, as the page holds it. */
export interface Opened {
  /** What is sent: an image file, or a bits file. */
  readonly file: Blob;
  /** What is shown. */
  readonly image: Blob;
  readonly mask: MaskLayer;
}

/**
 * Opens an image file to start from.
 *
 * @param bits The bits of the same picture, which are sent in its place.
 * @throws {Failure} The browser cannot read it.
 */
export async function openPicture(image: Blob, bits?: Blob): Promise<Opened> {
  const bitmap = await createImageBitmap(image).catch(() => {
    throw new Failure("Cannot open the file: it is not a picture that this browser reads");
  });
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const mask = new MaskLayer(width, height);
  const isKept = scale === 1 && /^image\/(png|jpeg|webp)$/.test(image.type);
  const shown = isKept ? image : await redraw(bitmap, width, height);
  bitmap.close();
  return { file: bits ?? shown, image: shown, mask };
}

/** Draws a picture in another size. */
async function redraw(bitmap: ImageBitmap, width: number, height: number): Promise<Blob> {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0, width, height);
  return await canvasFile(canvas);
}
