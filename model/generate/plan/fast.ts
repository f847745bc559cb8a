/**
 * Approximations: less work for nearly the same image. bench/models/approximations.ts measures what they cost and save.
 *
 * @module
 */

import { InputError, quote } from "../../../engine/mod.ts";
import type { Grid } from "../../config/grid.ts";

/**
 * An approximation.
 *
 * `kv`: a scale attends to itself and to the first scales only, those with at most a sixteenth of the last scale's
 * tokens. Keys and values of the other scales are never cached.
 *
 * `prune`: scales with more than a quarter of the last scale's tokens are not run, except for the last. Their bits are
 * sampled from the resized hidden states of the scale before (the restored cache of FastVAR, arXiv 2503.23367, with
 * every token pruned), and later scales do not attend to them.
 */
export type FastMode = "kv" | "prune";

/** All approximations. */
export const FAST_MODES: readonly FastMode[] = ["kv", "prune"];

/** `kv` caches scales up to this share of the last scale's tokens. */
const CACHED = 1 / 16;
/** `prune` skips scales above this share of the last scale's tokens. */
const PRUNED = 1 / 4;

/**
 * Applies approximations to a schedule: returns `cachedScales` and `restoredFrom` of {@link Plan}. The first scale is
 * always run and cached, since images fall apart without it.
 *
 * @throws {InputError} `bad-value`: there is no such mode.
 */
export function fastScales(
  schedule: readonly Grid[],
  modes: readonly FastMode[],
): { readonly cachedScales: number; readonly restoredFrom: number } {
  const unknown = modes.find((mode) => !FAST_MODES.includes(mode));
  if (unknown !== undefined) {
    throw new InputError(
      "bad-value",
      `Cannot use fast ${quote(String(unknown))}: it must be ${FAST_MODES.join(" or ")}`,
    );
  }
  const last = schedule.length - 1;
  const [height, width] = schedule[last]!;
  /** The first scale after scale 0 that exceeds the share; at most the last scale. */
  const upTo = (share: number) => {
    const larger = schedule.findIndex(([h, w], s) => s > 0 && h * w > share * height * width);
    return larger < 0 ? last : Math.min(larger, last);
  };
  const restoredFrom = modes.includes("prune") ? upTo(PRUNED) : last;
  const cachedScales = Math.min(modes.includes("kv") ? upTo(CACHED) : last, restoredFrom);
  return { cachedScales, restoredFrom };
}
