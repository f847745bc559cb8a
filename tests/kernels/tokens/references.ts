/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

/** y [B, L, C] + table[level]. */
export function addLevel(
  y: Float64Array,
  table: Float64Array,
  level: ArrayLike<number>,
  C: number,
): Float64Array {
  return y.map((v, i) => v + table[level[Math.floor(i / C) % level.length]! * C + i % C]!);
}

/** y [B, to, C] after the first `rows` rows of each image of x [B, from, C] were copied to it. */
export function copyRows(
  x: Float64Array,
  y: Float64Array,
  { from, to, rows, C }: { from: number; to: number; rows: number; C: number },
): Float64Array {
  return y.map((v, i) => {
    const r = Math.floor(i / C) % to, b = Math.floor(i / C / to);
    return r < rows ? x[(b * from + r) * C + i % C]! : v;
  });
}

/** y [T, C] after the rows of `ids` that a table, from id `first` on, has were looked up. */
export function embedding(
  ids: readonly number[],
  table: Float64Array,
  y: Float64Array,
  { C, first = 0 }: { C: number; first?: number },
): Float64Array {
  return y.map((v, i) => {
    const row = ids[Math.floor(i / C)]! - first;
    return row >= 0 && row < table.length / C ? table[row * C + i % C]! : v;
  });
}

/** Tokens [B, L, C] of words [images, L − skip, C] after `skip` start tokens. */
export function tokenInput(
  { B, L, C, images, skip, pooled, position, words, table, level }: {
    B: number;
    L: number;
    C: number;
    images: number;
    skip: number;
    pooled: Float64Array;
    position: Float64Array;
    words: Float64Array | null;
    table: Float64Array;
    level: ArrayLike<number>;
  },
): Float64Array {
  return Float64Array.from({ length: B * L * C }, (_, i) => {
    const c = i % C, l = Math.floor(i / C) % L, b = Math.floor(i / C / L);
    const own = l < skip
      ? pooled[b * C + c]! + position[c]!
      : words![((b % images) * (L - skip) + l - skip) * C + c]!;
    return own + table[level[l]! * C + c]!;
  });
}
