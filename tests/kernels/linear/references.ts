/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

import type { Epilogue } from "../../../kernels/linear/epilogue.ts";
import type { QuantisedType } from "../../../kernels/linear/weight_types.ts";
import { gelu, silu } from "../elementwise/references.ts";

/** x · wᵀ + bias. */
export function matmul(
  x: Float64Array,
  w: Float64Array,
  bias: Float64Array | null,
  M: number,
  K: number,
  N: number,
): Float64Array {
  const y = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = bias?.[n] ?? 0;
      for (let k = 0; k < K; k++) sum += x[m * K + k]! * w[n * K + k]!;
      y[m * N + n] = sum;
    }
  }
  return y;
}

/** What the epilogues that accumulate need. */
export interface Accumulated {
  /** y as it was. */
  readonly before: Float64Array;
  /** Factors of `gate`. */
  readonly gates: Float64Array;
  /** Where the factor of row m and column n is. */
  readonly gateAt: (m: number, n: number) => number;
}

/** Sums, N in a row, after an epilogue. */
export function epilogue(
  sums: Float64Array,
  N: number,
  kind: Epilogue,
  { before, gates, gateAt }: Accumulated,
): Float64Array {
  const finish: Record<Epilogue, (v: number, i: number) => number> = {
    none: (v) => v,
    gelu,
    silu,
    add: (v, i) => before[i]! + v,
    gate: (v, i) => before[i]! + gates[gateAt(Math.floor(i / N), i % N)]! * v,
  };
  return sums.map(finish[kind]);
}

/** Σ parts + bias: [S, M, ⌈N/4⌉·4] to [M, N]. */
export function sumParts(
  parts: Float64Array,
  bias: Float64Array | null,
  S: number,
  M: number,
  N: number,
): Float64Array {
  const width = Math.ceil(N / 4) * 4;
  return Float64Array.from({ length: M * N }, (_, i) => {
    const [m, n] = [Math.floor(i / N), i % N];
    let sum = bias?.[n] ?? 0;
    for (let s = 0; s < S; s++) sum += parts[(s * M + m) * width + n]!;
    return sum;
  });
}

/** Integers times the scale of their block of 32, exactly. */
export function dequantise(
  bytes: Uint8Array,
  scales: ArrayLike<number>,
  count: number,
  type: QuantisedType,
): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const q = type === "q8_0" ? bytes[i]! << 24 >> 24 : (bytes[i >> 1]! >> 4 * (i & 1) & 15) - 8;
    return q * scales[i >> 5]!;
  });
}

/** Σ x · z over each group of `rows` rows of N. */
export function columnSums(
  x: Float64Array,
  z: Float64Array | null,
  N: number,
  rows: number,
): Float64Array {
  const y = new Float64Array(x.length / rows);
  x.forEach((v, i) => y[Math.floor(i / N / rows) * N + i % N]! += v * (z?.[i] ?? 1));
  return y;
}

/** y[n, m] = x[m, from + n]: N columns of rows of `pitch` become rows of P, padded with zeros. */
export function transpose(
  x: Float64Array,
  pitch: number,
  from: number,
  N: number,
  P: number,
): Float64Array {
  const M = x.length / pitch;
  return Float64Array.from({ length: N * P }, (_, i) => {
    const [n, m] = [Math.floor(i / P), i % P];
    return m < M ? x[m * pitch + from + n]! : 0;
  });
}

/** Gradients of y = x · wᵀ + bias, given that by y. */
export function matmulBackward(
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
  M: number,
  K: number,
  N: number,
): { readonly dx: Float64Array; readonly dw: Float64Array; readonly db: Float64Array } {
  const [dx, dw] = [new Float64Array(M * K), new Float64Array(N * K)];
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      const d = dy[m * N + n]!;
      for (let k = 0; k < K; k++) {
        dx[m * K + k]! += d * w[n * K + k]!;
        dw[n * K + k]! += d * x[m * K + k]!;
      }
    }
  }
  return { dx, dw, db: columnSums(dy, null, N, M) };
}
