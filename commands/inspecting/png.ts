/** What `inspect` finds in a PNG. */

import type { Inspection } from "./inspection.ts";
import type { ImageLimits } from "../../model/image/base/rows.ts";
import { inTurns } from "../../model/image/base/turns.ts";
import { readPngText } from "../../model/image/png.ts";
import { openPng } from "../../model/image/png/rows.ts";

/** Decodes all pixels of a PNG, which proves them complete, and keeps none. */
export async function inspectPng(
  path: string,
  bytes: Uint8Array,
  limits: ImageLimits,
): Promise<Inspection> {
  const { header, orientation, icc, warnings, rows } = openPng(bytes, path, limits);
  const text = readPngText(bytes, path);
  for await (const _ of inTurns(rows(), limits.signal));
  const { width, height, depth, colour, interlaced } = header;
  const form = [
    `${width}x${height}`,
    `${depth}-bit ${colour}`,
    ...(interlaced ? ["interlaced"] : []),
    ...(orientation === 1 ? [] : [`EXIF orientation ${orientation}`]),
    ...(icc ? ["with a colour profile"] : []),
  ];
  return {
    lines: [
      `${path}: ${form.join(", ")}`,
      ...warnings.map((warning) => `Warning: ${warning}`),
      ...Object.entries(text).flatMap(([key, value]) => [`${key}:`, value]),
    ],
    report: { width, height, colour, depth, interlaced, orientation, warnings, text },
  };
}
