/**
 * Approximations: less work for an image that is nearly the same.
 *
 * What they cost emoji-nano (16 prompts, 2 seeds each, against the exact images) and
 * save the transformer of the 2B at 1024x1024 (115 TFLOP), as `bench/less_work.ts` measures it. Unguided: no guidance at
 * scales of a quarter of the last one's tokens and more, which is `cfgUntil` 1 of 4 and 9 of 13.
 *
 * |                     | SSIM  | worst | PSNR    | bits that stay | TFLOP        |
 * | ------------------- | ----- | ----- | ------- | -------------- | ------------ |
 * | another seed        | 0.972 | 0.835 | 31.4 dB | 96.8 %         | 115          |
 * | unguided            | 0.962 | 0.777 | 30.3 dB | 96.2 %         | 63.5 (1.81x) |
 * | `kv`                | 0.975 | 0.888 | 31.7 dB | 97.1 %         | 95.6 (1.20x) |
 * | `kv`, unguided      | 0.960 | 0.776 | 29.7 dB | 95.9 %         | 53.8 (2.14x) |
 * | `prune`             | 0.884 | 0.692 | 24.1 dB | 81.8 %         | 66.0 (1.74x) |
 * | `kv,prune`          | 0.883 | 0.671 | 24.0 dB | 81.6 %         | 61.1 (1.88x) |
 *
 * Measured and left out. Pruning some tokens of a scale costs in proportion to what it saves, whether those kept are the
 * farthest from the mean, the nearest or a chequerboard (half of them: 0.940 to 0.945), so whole scales are pruned. Bits
 * from the nearest hidden state, the scale's own input or the last update are no better than linear ones; pruning the
 * last scale is worse (half of it: 0.83). A window of the scale's own rows saves 4 % more behind `kv`, for 0.03 of SSIM.
 *
 * @module
 */

import { InputError, quote } from "../../engine/mod.ts";
import type { Grid } from "../config/grid.ts";

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
 * and cached: without it images fall apart.
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
