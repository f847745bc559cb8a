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

/** The gradient of {@link embedding} by its table of `rows`. */
export function embeddingBackward(
  ids: ArrayLike<number>,
  dy: Float64Array,
  C: number,
  rows: number,
): Float64Array {
  const dtable = new Float64Array(rows * C);
  dy.forEach((d, i) => {
    const row = ids[Math.floor(i / C)]!;
    if (row < rows) dtable[row * C + i % C]! += d;
  });
  return dtable;
}

/** Rows of x [T, C], or those of a table that `ids` name. */
export function chooseRows(
  x: Float64Array,
  ids: ArrayLike<number>,
  table: Float64Array,
  C: number,
): Float64Array {
  return x.map((v, i) => {
    const row = ids[Math.floor(i / C)]!;
    return row < table.length / C ? table[row * C + i % C]! : v;
  });
}

/** The gradients of {@link tokenInput} with a start token, of B images of L tokens. */
export function tokenInputBackward(
  dy: Float64Array,
  level: ArrayLike<number>,
  { B, L, C, levels }: { B: number; L: number; C: number; levels: number },
) {
  const [pooled, position] = [new Float64Array(B * C), new Float64Array(C)];
  const [words, table] = [new Float64Array(B * (L - 1) * C), new Float64Array(levels * C)];
  dy.forEach((d, i) => {
    const c = i % C, l = Math.floor(i / C) % L, b = Math.floor(i / C / L);
    table[level[l]! * C + c]! += d;
    if (l > 0) {
      words[(b * (L - 1) + l - 1) * C + c]! += d;
    } else {
      pooled[b * C + c]! += d;
      position[c]! += d;
    }
  });
  return { pooled, position, words, table };
}
