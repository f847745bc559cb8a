import { FileError, quote } from "../../../../engine/mod.ts";
import { readSmallFile } from "../../../checkpoint/files.ts";
import { openImage } from "../../../image/read_image.ts";

/** An image file, and what to make of it. */
export interface DecodeJob {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** The least pixels of the shorter side that the file must have. */
  readonly minimum: number;
}

/** An image of the size that was asked for. */
export interface Decoded {
  /** [height, width, 3], from −1 to 1. */
  readonly rgb: Float32Array<ArrayBuffer>;
  /** What was changed or not applied, one line each. */
  readonly warnings: readonly string[];
}

/** The most bytes of a file. */
const MOST_BYTES = 2 ** 28;

/**
 * Reads an image file, scales it to cover the size and crops its centre.
 *
 * @throws {FileError} It cannot be read, is not an image, is damaged, or is smaller than `minimum`.
 */
export async function decode({ path, width, height, minimum }: DecodeJob): Promise<Decoded> {
  const image = await openImage(await readSmallFile(path, MOST_BYTES), path);
  if (Math.min(image.width, image.height) < minimum) {
    throw new FileError(
      "image-too-small",
      `Cannot use ${quote(path)}: it has ${image.width}x${image.height} pixels, each side must ` +
        `have ${minimum}`,
    );
  }
  return { rgb: await image.fit(width, height), warnings: image.warnings };
}
