import { InputError } from "../../engine/mod.ts";
import { enlarge, type Pixels } from "../../model/image/enlarge.ts";
import { encodePng } from "../../model/image/png.ts";
import { contactSheet } from "../../model/image/sheet.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import { generateAll } from "./measures.ts";

/** Images in a row. */
const COLUMNS = 8;

/**
 * Draws a sheet of what models make of prompts, one image of each, side by side, and returns a PNG. It carries the
 * prompts as text, row by row.
 */
export async function drawSheet(
  models: readonly InfinityModel[],
  prompts: readonly string[],
): Promise<Uint8Array> {
  const sides = models.map(({ config }) => config.image.width);
  const side = Math.max(...sides);
  if (sides.some((own) => side % own !== 0)) {
    const message = `Cannot put images of ${sides.join(" and ")} pixels side by side: ` +
      "one must be a multiple of the other";
    throw new InputError("image-size", message);
  }
  const made: Pixels[][] = [];
  for (const model of models) {
    const images = await generateAll({ model }, prompts);
    made.push(images.map((image) => enlarge(image, side / image.width)));
  }
  const images = prompts.flatMap((_, i) => made.map((images) => images[i]!));
  const { width, height, rgba } = contactSheet(images, Math.min(COLUMNS, images.length));
  const names = models.map(({ config }) => config.name).join(", then ");
  return encodePng(rgba, width, height, { Description: [names, ...prompts].join("\n") });
}
