/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

import type { Conv2dArgs } from "../../../kernels/conv/conv2d.ts";

/** A convolution: the shape of x, output channels, kernel size and options. */
export interface Case extends Pick<Conv2dArgs, "stride" | "upsample" | "padding"> {
  readonly x: readonly [B: number, H: number, W: number, C: number];
  readonly N: number;
  readonly size: 1 | 3;
}

/** Height and width of y. */
export function outputSize(c: Case): [number, number] {
  const { x: [, H, W], size, stride = 1, upsample, padding } = c;
  const scale = upsample ? 2 : 1;
  const zeros = size === 1 ? 0 : padding === "after" ? 1 : 2;
  const along = (n: number) => Math.floor((n * scale + zeros - size) / stride) + 1;
  return [along(H), along(W)];
}

/** The gradients of {@link conv2d} by x, w and bias. */
export function conv2dBackward(
  c: Case,
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
): { dx: Float64Array; dw: Float64Array; db: Float64Array } {
  const [, H, W, C] = c.x;
  const { N, size, stride = 1, upsample, padding } = c;
  const [OH, OW] = outputSize(c);
  const scale = upsample ? 2 : 1;
  const pad = padding === "after" ? 0 : (size - 1) / 2;
  const dx = new Float64Array(x.length), dw = new Float64Array(w.length), db = new Float64Array(N);
  dy.forEach((d, i) => {
    const n = i % N, ox = Math.floor(i / N) % OW;
    const oy = Math.floor(i / N / OW) % OH, b = Math.floor(i / N / OW / OH);
    db[n]! += d;
    for (let ky = 0; ky < size; ky++) {
      for (let kx = 0; kx < size; kx++) {
        const iy = oy * stride + ky - pad, ix = ox * stride + kx - pad;
        if (iy < 0 || ix < 0 || iy >= H * scale || ix >= W * scale) continue;
        const at = ((b * H + Math.floor(iy / scale)) * W + Math.floor(ix / scale)) * C;
        for (let k = 0; k < C; k++) {
          const of = ((n * C + k) * size + ky) * size + kx;
          dx[at + k]! += d * w[of]!;
          dw[of]! += d * x[at + k]!;
        }
      }
    }
  });
  return { dx, dw, db };
}

/** x convolved by w [N, C, size, size], and bias. */
export function conv2d(
  c: Case,
  x: Float64Array,
  w: Float64Array,
  bias: Float64Array,
): Float64Array {
  const [B, H, W, C] = c.x;
  const { N, size, stride = 1, upsample, padding } = c;
  const [OH, OW] = outputSize(c);
  const scale = upsample ? 2 : 1;
  const pad = padding === "after" ? 0 : (size - 1) / 2;
  const y = new Float64Array(B * OH * OW * N);
  for (let i = 0; i < y.length; i++) {
    const n = i % N, ox = Math.floor(i / N) % OW;
    const oy = Math.floor(i / N / OW) % OH, b = Math.floor(i / N / OW / OH);
    let sum = bias[n]!;
    for (let ky = 0; ky < size; ky++) {
      for (let kx = 0; kx < size; kx++) {
        const iy = oy * stride + ky - pad, ix = ox * stride + kx - pad;
        if (iy < 0 || ix < 0 || iy >= H * scale || ix >= W * scale) continue;
        const at = ((b * H + Math.floor(iy / scale)) * W + Math.floor(ix / scale)) * C;
        for (let k = 0; k < C; k++) {
          sum += x[at + k]! * w[((n * C + k) * size + ky) * size + kx]!;
        }
      }
    }
    y[i] = sum;
  }
  return y;
}
