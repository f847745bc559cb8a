/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

/** GELU in the tanh form. */
export function gelu(v: number): number {
  return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
}

/** x · sigmoid(x). */
export function silu(v: number): number {
  return v / (1 + Math.exp(-v));
}

/** The functions of `activate`. */
export const ACTIVATIONS = { gelu, silu } as const;

/** Their derivatives. */
export const SLOPES = {
  gelu(v: number): number {
    const t = Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3));
    const inner = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * v * v);
    return 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * inner;
  },
  silu(v: number): number {
    const s = 1 / (1 + Math.exp(-v));
    return s * (1 + v * (1 - s));
  },
} as const;

/** The gradient of {@link gatedGelu} by h. */
export function gatedGeluBackward(h: Float64Array, dy: Float64Array, F: number): Float64Array {
  return h.map((v, i) => {
    const row = Math.floor(i / (2 * F)), f = i % (2 * F);
    const d = dy[row * F + f % F]!;
    return f < F ? d * SLOPES.gelu(v) * h[i + F]! : d * gelu(h[i - F]!);
  });
}

/** gelu(h[:, :F]) · h[:, F:] of rows of 2F. */
export function gatedGelu(h: Float64Array, F: number): Float64Array {
  return Float64Array.from({ length: h.length / 2 }, (_, i) => {
    const at = i + Math.floor(i / F) * F;
    return gelu(h[at]!) * h[at + F]!;
  });
}

/** Guidance of two halves; both become the mixture. */
export function guide(x: Float64Array, cfg: number): Float64Array {
  const half = x.length / 2;
  return x.map((_, i) => cfg * x[i % half]! + (1 - cfg) * x[half + i % half]!);
}

/** Rows of K, padded with zeros to whole vec4s. */
export function padRows(x: Float64Array, K: number): Float64Array {
  const width = Math.ceil(K / 4) * 4;
  return Float64Array.from({ length: x.length / K * width }, (_, i) => {
    const column = i % width;
    return column < K ? x[Math.floor(i / width) * K + column]! : 0;
  });
}

/** A byte of {@link rgba8}: the steps of the official code, each rounded to f32. */
export function level(value: number): number {
  const f = Math.fround;
  return Math.trunc(f(f(f(Math.min(1, Math.max(-1, value)) + 1) / 2) * 255));
}

/** Pixels of [-1, 1] as words of RGBA. */
export function rgba8(x: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: x.length / 3 }, (_, p) => {
    const [r, g, b] = [0, 1, 2].map((c) => level(x[3 * p + c]!)) as [number, number, number];
    return r | g << 8 | b << 16 | 255 << 24;
  });
}

/** The first `count` of 16-bit floats, exactly. */
export function widen(words: Uint16Array, from: "F16" | "BF16", count: number): Float64Array {
  const wide = from === "F16"
    ? new Float16Array(words.slice().buffer)
    : new Float32Array(Uint32Array.from(words, (bits) => bits << 16).buffer);
  return Float64Array.from(wide.subarray(0, count));
}
