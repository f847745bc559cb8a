import type { Image } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";

/** Opens a file and decodes all of it. */
export async function readImage(file: Uint8Array, name: string): Promise<Image> {
  return await (await openImage(file, name)).image();
}
