/// <reference lib="dom" />

import type { Made } from "../../serve/jobs/job.ts";
import { writeParametersText } from "../../serve/page/data/png_text.ts";

/** Encodes an image as a PNG file by the browser, and adds its parameters as web UIs do. */
export async function pngFile({ width, height, rgba, parameters }: Made): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const pixels = new ImageData(new Uint8ClampedArray(rgba), width, height);
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  const file = await canvas.convertToBlob({ type: "image/png" });
  return writeParametersText(file, parameters);
}
