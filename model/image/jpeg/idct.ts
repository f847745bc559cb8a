/** The inverse DCT of JPEG blocks, exact as in libjpeg's "islow". */

// Constants of Loeffler, Ligtenberg and Moschytz's algorithm (ICASSP 1989), in units of 2^-13.
const A = 2446, B = 4433, C = 6270, D = 7373, E = 9633, F = 12299;
const G = 15137, H = 16069, I = 16819, J = 20995, K = 25172, L = 3196;
const BITS = 13;
// extra bits that the first pass keeps
const PASS1 = 2;

const work = new Int32Array(64);

/**
 * Computes the samples of one block.
 *
 * @param coefs Coefficients [64], row by row, from `at`.
 * @param quant What to multiply them by, in the same order.
 * @param out Where to put 8 × 8 samples from 0 to 255, from `to`, rows `stride` apart.
 */
export function inverseDct(
  coefs: Int16Array,
  at: number,
  quant: Int32Array,
  out: Uint8ClampedArray,
  to: number,
  stride: number,
): void {
  if (isFlat(coefs, at)) {
    const value = ((coefs[at] * quant[0] << PASS1) + 16 >> PASS1 + 3) + 128;
    for (let y = 0; y < 8; y++, to += stride) out.fill(value, to, to + 8);
    return;
  }
  for (let x = 0; x < 8; x++) {
    const c = at + x;
    const c1 = coefs[c + 8], c2 = coefs[c + 16], c3 = coefs[c + 24], c4 = coefs[c + 32];
    const c5 = coefs[c + 40], c6 = coefs[c + 48], c7 = coefs[c + 56];
    const even0 = coefs[c] * quant[x];
    if ((c1 | c2 | c3 | c4 | c5 | c6 | c7) === 0) {
      const value = even0 << PASS1;
      for (let i = x; i < 64; i += 8) work[i] = value;
      continue;
    }
    const s2 = Math.imul(c2, quant[x + 16]),
      s6 = Math.imul(c6, quant[x + 48]),
      s4 = Math.imul(c4, quant[x + 32]);
    const z = Math.imul(s2 + s6, B);
    const t2 = z - Math.imul(s6, G), t3 = z + Math.imul(s2, C);
    const sum = even0 + s4 << BITS, difference = even0 - s4 << BITS;
    const e0 = sum + t3, e3 = sum - t3, e1 = difference + t2, e2 = difference - t2;

    const o0 = Math.imul(c7, quant[x + 56]), o1 = Math.imul(c5, quant[x + 40]);
    const o2 = Math.imul(c3, quant[x + 24]), o3 = Math.imul(c1, quant[x + 8]);
    const z5 = Math.imul(o0 + o2 + o1 + o3, E);
    const z1 = Math.imul(-(o0 + o3), D), z2 = Math.imul(-(o1 + o2), J);
    const z3 = z5 - Math.imul(o0 + o2, H), z4 = z5 - Math.imul(o1 + o3, L);
    const p0 = Math.imul(o0, A) + z1 + z3, p1 = Math.imul(o1, I) + z2 + z4;
    const p2 = Math.imul(o2, K) + z2 + z3, p3 = Math.imul(o3, F) + z1 + z4;

    work[x] = e0 + p3 + 1024 >> 11;
    work[x + 56] = e0 - p3 + 1024 >> 11;
    work[x + 8] = e1 + p2 + 1024 >> 11;
    work[x + 48] = e1 - p2 + 1024 >> 11;
    work[x + 16] = e2 + p1 + 1024 >> 11;
    work[x + 40] = e2 - p1 + 1024 >> 11;
    work[x + 24] = e3 + p0 + 1024 >> 11;
    work[x + 32] = e3 - p0 + 1024 >> 11;
  }
  // 2^17 rounds; 128 << 18 moves the middle of the samples to 128
  const middle = (128 << 18) + (1 << 17);
  for (let i = 0; i < 64; i += 8, to += stride) {
    const s2 = work[i + 2], s6 = work[i + 6];
    const z = Math.imul(s2 + s6, B);
    const t2 = z - Math.imul(s6, G), t3 = z + Math.imul(s2, C);
    const sum = (work[i] + work[i + 4] << BITS) + middle;
    const difference = (work[i] - work[i + 4] << BITS) + middle;
    const e0 = sum + t3, e3 = sum - t3, e1 = difference + t2, e2 = difference - t2;

    const o0 = work[i + 7], o1 = work[i + 5], o2 = work[i + 3], o3 = work[i + 1];
    const z5 = Math.imul(o0 + o2 + o1 + o3, E);
    const z1 = Math.imul(-(o0 + o3), D), z2 = Math.imul(-(o1 + o2), J);
    const z3 = z5 - Math.imul(o0 + o2, H), z4 = z5 - Math.imul(o1 + o3, L);
    const p0 = Math.imul(o0, A) + z1 + z3, p1 = Math.imul(o1, I) + z2 + z4;
    const p2 = Math.imul(o2, K) + z2 + z3, p3 = Math.imul(o3, F) + z1 + z4;

    out[to] = e0 + p3 >> 18;
    out[to + 7] = e0 - p3 >> 18;
    out[to + 1] = e1 + p2 >> 18;
    out[to + 6] = e1 - p2 >> 18;
    out[to + 2] = e2 + p1 >> 18;
    out[to + 5] = e2 - p1 >> 18;
    out[to + 3] = e3 + p0 >> 18;
    out[to + 4] = e3 - p0 >> 18;
  }
}

/** Whether all coefficients of a block but the first are 0. */
function isFlat(coefs: Int16Array, at: number): boolean {
  for (let k = at + 1; k < at + 64; k++) if (coefs[k] !== 0) return false;
  return true;
}
