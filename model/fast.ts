/**
 * Approximations: less work for a picture that is nearly the same.
 *
 * Prices, as `deno task bench --only less_work` measures them (see bench/less_work.ts for how):
 *
 * TABLE
 *
 * @module
 */

import { InputError, quote } from "../engine/errors.ts";
import type { Grid } from "./transformer.ts";

/**
 * An approximation.
 *
 * `kv`: scales attend to themselves and to the first scales alone, those of at most a sixteenth of the last scale's
 * tokens. Keys and values of all others are never cached.
 *
 * `prune`: scales of more than a quarter of the last scale's tokens, but the last, are not run. Their bits are drawn from
 * the hidden states of the scale before, resized (the restored cache of FastVAR, arXiv 2503.23367, with every token
 * pruned), and later scales do not attend to them.
 */
export type FastMode = "kv" | "prune";

/** All approximations. */
export const FAST_MODES: readonly FastMode[] = ["kv", "prune"];

/** Of the last scale's tokens: scales up to this share stay in the cache. */
const CACHED = 1 / 16;
/** Of the last scale's tokens: scales above this share are pruned. */
const PRUNED = 1 / 4;

/**
 * What the modes make of a schedule: see `cachedScales` and `restoredFrom` of {@link Plan}. The first scale is always run
 * and cached: without it pictures fall apart.
 *
 * @throws {InputError} `bad-value`: no such mode.
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
  /** The first scales, up to the one that is larger; not the last scale. */
  const upTo = (share: number) => {
    const larger = schedule.findIndex(([h, w], s) => s > 0 && h * w > share * height * width);
    return larger < 0 ? last : Math.min(larger, last);
  };
  const restoredFrom = modes.includes("prune") ? upTo(PRUNED) : last;
  const cachedScales = Math.min(modes.includes("kv") ? upTo(CACHED) : last, restoredFrom);
  return { cachedScales, restoredFrom };
}
