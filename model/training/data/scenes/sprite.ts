import type { DominantColour } from "./dominant_colour.ts";
import type { SpriteItem } from "./items.ts";

/** A sprite, its pixels apart. */
export interface Sprite extends DominantColour {
  /** Its names, and what else captions need to know. */
  readonly item: SpriteItem;
  /** Its tile, counted from 0. */
  readonly place: number;
  /** Whether another colour suits it. */
  readonly recolourable: boolean;
  /** Whether it may be mirrored: no writing, no hands of a clock. */
  readonly mirrorable: boolean;
}
