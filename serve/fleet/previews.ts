import { InputError } from "../../engine/mod.ts";
import { isWhole } from "../../model/config/check_value.ts";
import { encodePng } from "../../model/image/png.ts";
import { fitImage } from "../../model/image/resize.ts";
import { openImage } from "../../model/image/read_image.ts";
import { imageOf } from "../../model/generate/images/image_input.ts";
import type { Pixels, ScaleDone } from "../jobs/job.ts";
import type { Report } from "./protocol.ts";

/** The most pixels of a preview's side: Redis keeps the last thousand or so in its memory. */
const SIDE = 256;

/** Writes a scale as a report, its image reduced. */
export async function reportOf({ scale, scales, image }: ScaleDone): Promise<Report> {
  if (!image) return { scale, scales };
  const { rgba, width, height } = await reduced(image);
  return { scale, scales, preview: encodePng(rgba, width, height).toBase64() };
}

async function reduced(image: Pixels): Promise<Omit<Pixels, "rgba"> & { rgba: Uint8Array }> {
  const factor = SIDE / Math.max(image.width, image.height);
  if (factor >= 1) return image;
  const [width, height] = [image.width, image.height].map((side) =>
    Math.max(1, Math.round(side * factor))
  ) as [number, number];
  return imageOf(await fitImage(image, width, height), { width, height }, "pixels");
}

/** Reads a report. @throws {InputError | FileError} It or its image is none. */
export async function scaleOf({ scale, scales, preview }: Report): Promise<ScaleDone> {
  if (!isWhole(scales, 1) || !isWhole(scale, 0, scales - 1)) {
    throw new InputError("bad-report", "Cannot use the report of a worker: it names no scale");
  }
  if (preview === undefined) return { scale, scales };
  return { scale, scales, image: await readPixels(Uint8Array.fromBase64(preview), "preview") };
}

/** Decodes an image file. @throws {FileError} It is none. */
export async function readPixels(bytes: Uint8Array, name: string): Promise<Pixels> {
  const { width, height, rgba } = await (await openImage(bytes, name)).image();
  return { width, height, rgba: rgba as Uint8Array<ArrayBuffer> };
}
