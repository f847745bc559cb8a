/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

/** What {@link layerNorm} may be given. */
export interface LayerNormOptions {
  readonly rms?: boolean;
  readonly weight?: Float64Array | undefined;
  readonly bias?: Float64Array | undefined;
  readonly scale?: (image: number, c: number) => number;
  readonly shift?: (image: number, c: number) => number;
  /** Rows of an image. */
  readonly rows?: number;
}

/** Rows of C, normalised. */
export function layerNorm(
  x: Float64Array,
  C: number,
  eps: number,
  given: LayerNormOptions = {},
): Float64Array {
  const y = new Float64Array(x.length);
  for (let m = 0; m < x.length / C; m++) {
    const row = x.subarray(m * C, m * C + C);
    const mean = given.rms ? 0 : row.reduce((sum, v) => sum + v, 0) / C;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / C;
    const image = Math.floor(m / (given.rows ?? 1));
    for (let c = 0; c < C; c++) {
      const normed = (row[c]! - mean) / Math.sqrt(variance + eps);
      const affine = normed * (given.weight?.[c] ?? 1) + (given.bias?.[c] ?? 0);
      y[m * C + c] = affine * (1 + (given.scale?.(image, c) ?? 0)) + (given.shift?.(image, c) ?? 0);
    }
  }
  return y;
}

/** [B, area, C], normalised over groups of channels of an image. */
export function groupNorm(
  x: Float64Array,
  [B, area, C]: readonly [number, number, number],
  groups: number,
  weight: Float64Array,
  bias: Float64Array,
  silu: boolean,
  eps: number,
): Float64Array {
  const y = new Float64Array(x.length);
  const width = C / groups;
  for (let i = 0; i < B * groups; i++) {
    const b = Math.floor(i / groups), first = i % groups * width;
    const at = Array.from(
      { length: area * width },
      (_, j) => (b * area + Math.floor(j / width)) * C + first + j % width,
    );
    const mean = at.reduce((sum, j) => sum + x[j]!, 0) / at.length;
    const variance = at.reduce((sum, j) => sum + (x[j]! - mean) ** 2, 0) / at.length;
    for (const j of at) {
      const v = (x[j]! - mean) / Math.sqrt(variance + eps) * weight[j % C]! + bias[j % C]!;
      y[j] = silu ? v / (1 + Math.exp(-v)) : v;
    }
  }
  return y;
}

/** shared [B, W] + gss [D, W] as [D, B, W]. */
export function adaVectors(shared: Float64Array, gss: Float64Array, W: number): Float64Array {
  const block = shared.length;
  return Float64Array.from(
    { length: gss.length / W * block },
    (_, i) => shared[i % block]! + gss[Math.floor(i / block) * W + i % W]!,
  );
}
