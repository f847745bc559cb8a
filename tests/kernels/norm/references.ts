/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

import { SLOPES } from "../elementwise/references.ts";

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

/** What {@link layerNorm} sends back. */
export interface LayerNormGradients {
  readonly dx: Float64Array;
  readonly dweight: Float64Array;
  readonly dbias: Float64Array;
  /** [images, C]. */
  readonly dscale: Float64Array;
  /** [images, C]. */
  readonly dshift: Float64Array;
}

/** The gradients of {@link layerNorm} for one of its output. */
export function layerNormBackward(
  x: Float64Array,
  dy: Float64Array,
  C: number,
  eps: number,
  given: LayerNormOptions = {},
): LayerNormGradients {
  const M = x.length / C, images = Math.ceil(M / (given.rows ?? 1));
  const dx = new Float64Array(x.length);
  const [dweight, dbias] = [new Float64Array(C), new Float64Array(C)];
  const [dscale, dshift] = [new Float64Array(images * C), new Float64Array(images * C)];
  for (let m = 0; m < M; m++) {
    const row = x.subarray(m * C, m * C + C);
    const mean = given.rms ? 0 : row.reduce((sum, v) => sum + v, 0) / C;
    const inverse = 1 / Math.sqrt(row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / C + eps);
    const image = Math.floor(m / (given.rows ?? 1));
    const z = row.map((v) => (v - mean) * inverse);
    const dz = z.map((z, c) => {
      const d = dy[m * C + c]!, weight = given.weight?.[c] ?? 1;
      const affine = d * (1 + (given.scale?.(image, c) ?? 0));
      dshift[image * C + c]! += d;
      dscale[image * C + c]! += d * (z * weight + (given.bias?.[c] ?? 0));
      dbias[c]! += affine;
      dweight[c]! += affine * z;
      return affine * weight;
    });
    const meanDz = given.rms ? 0 : dz.reduce((sum, v) => sum + v, 0) / C;
    const slope = dz.reduce((sum, v, c) => sum + v * z[c]!, 0) / C;
    dz.forEach((d, c) => dx[m * C + c] = inverse * (d - meanDz - z[c]! * slope));
  }
  return { dx, dweight, dbias, dscale, dshift };
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

/** The gradients of {@link groupNorm} for one of its output. */
export function groupNormBackward(
  x: Float64Array,
  dy: Float64Array,
  [B, area, C]: readonly [number, number, number],
  groups: number,
  weight: Float64Array,
  bias: Float64Array,
  silu: boolean,
  eps: number,
): { dx: Float64Array; dweight: Float64Array; dbias: Float64Array } {
  const dx = new Float64Array(x.length);
  const [dweight, dbias] = [new Float64Array(C), new Float64Array(C)];
  const width = C / groups;
  for (let i = 0; i < B * groups; i++) {
    const b = Math.floor(i / groups), first = i % groups * width;
    const at = Array.from(
      { length: area * width },
      (_, j) => (b * area + Math.floor(j / width)) * C + first + j % width,
    );
    const mean = at.reduce((sum, j) => sum + x[j]!, 0) / at.length;
    const variance = at.reduce((sum, j) => sum + (x[j]! - mean) ** 2, 0) / at.length;
    const inverse = 1 / Math.sqrt(variance + eps);
    const z = at.map((j) => (x[j]! - mean) * inverse);
    const dz = at.map((j, k) => {
      const c = j % C, v = z[k]! * weight[c]! + bias[c]!;
      const dv = dy[j]! * (silu ? SLOPES.silu(v) : 1);
      dweight[c]! += dv * z[k]!;
      dbias[c]! += dv;
      return dv * weight[c]!;
    });
    const meanDz = dz.reduce((sum, v) => sum + v, 0) / at.length;
    const slope = dz.reduce((sum, v, k) => sum + v * z[k]!, 0) / at.length;
    at.forEach((j, k) => dx[j] = inverse * (dz[k]! - meanDz - z[k]! * slope));
  }
  return { dx, dweight, dbias };
}

/** shared [B, W] + gss [D, W] as [D, B, W]. */
export function adaVectors(shared: Float64Array, gss: Float64Array, W: number): Float64Array {
  const block = shared.length;
  return Float64Array.from(
    { length: gss.length / W * block },
    (_, i) => shared[i % block]! + gss[Math.floor(i / block) * W + i % W]!,
  );
}

/** x + gate[image] · v, where an image has `rows` rows of C. */
export function addGated(
  x: Float64Array,
  v: Float64Array,
  C: number,
  rows: number,
  gate: (image: number, c: number) => number,
): Float64Array {
  return x.map((x, i) => x + gate(Math.floor(i / C / rows), i % C) * v[i]!);
}

/** The gradients of {@link addGated} by v, and by the gates of each image [images, C]. */
export function addGatedBackward(
  dy: Float64Array,
  v: Float64Array,
  C: number,
  rows: number,
  gate: (image: number, c: number) => number,
): { dv: Float64Array; dgate: Float64Array } {
  const dgate = new Float64Array(Math.ceil(dy.length / rows / C) * C);
  const dv = dy.map((d, i) => {
    const image = Math.floor(i / C / rows), c = i % C;
    dgate[image * C + c]! += d * v[i]!;
    return gate(image, c) * d;
  });
  return { dv, dgate };
}
