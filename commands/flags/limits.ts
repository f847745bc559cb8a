/**
 * What reading an image may cost.
 *
 * @module
 */

import { integerFrom } from "./types.ts";
import type { ImageLimits } from "../../model/image/base/rows.ts";

/** The flag of commands that read images. */
export const IMAGE_FLAG = {
  "max-pixels": {
    type: integerFrom(1, 2 ** 40),
    help: "Read images of at most N pixels (134217728)",
  },
} as const;

/** Returns {@link IMAGE_FLAG} as an option. */
export function imageLimits(given: { readonly "max-pixels"?: number }): ImageLimits {
  return { maxPixels: given["max-pixels"] };
}
