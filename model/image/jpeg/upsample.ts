/** Widens the smaller components of a JPEG as libjpeg does. */

/** A row of samples in a larger array. */
export interface Line {
  readonly samples: Uint8Array | Uint8ClampedArray;
  readonly at: number;
}

/**
 * Computes a row of samples from one or two rows of a smaller component: linearly for factors of 2,
 * else by repeating them.
 *
 * @param samples The rows: from `near` the one that counts three quarters, from `far` the other one.
 * @param width Samples in each of them.
 * @param across The factor across.
 * @param down The factor down.
 * @param lower Whether the result lies below the middle of `near`.
 * @param out The result: width × across samples.
 */
export function upsample(
  samples: Uint8ClampedArray,
  near: number,
  far: number,
  width: number,
  across: number,
  down: number,
  lower: boolean,
  out: Uint8Array | Uint8ClampedArray,
): void {
  if (across === 2 && down <= 2 && width > 2) {
    if (down === 1) double(samples, near, width, out);
    else doubleBoth(samples, near, far, width, out);
  } else if (across === 1 && down === 2) {
    const bias = lower ? 2 : 1;
    for (let x = 0; x < width; x++) out[x] = samples[near + x] * 3 + samples[far + x] + bias >> 2;
  } else {
    for (let x = 0, at = 0; x < width; x++, at += across) {
      out.fill(samples[near + x], at, at + across);
    }
  }
}

function double(samples: Uint8ClampedArray, at: number, width: number, out: Line["samples"]): void {
  let before = samples[at], here = before;
  for (let x = 0; x < width; x++) {
    const after = x + 1 < width ? samples[at + x + 1] : here;
    out[2 * x] = here * 3 + before + 1 >> 2;
    out[2 * x + 1] = here * 3 + after + 2 >> 2;
    before = here;
    here = after;
  }
}

function doubleBoth(
  samples: Uint8ClampedArray,
  near: number,
  far: number,
  width: number,
  out: Line["samples"],
): void {
  let here = samples[near] * 3 + samples[far];
  let before = here;
  for (let x = 0; x < width; x++) {
    const after = x + 1 < width ? samples[near + x + 1] * 3 + samples[far + x + 1] : here;
    out[2 * x] = here * 3 + before + 8 >> 4;
    out[2 * x + 1] = here * 3 + after + 7 >> 4;
    before = here;
    here = after;
  }
}
