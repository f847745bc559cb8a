/** Fréchet distance of normal distributions fitted to two sets: |m − n|² + tr(A + B − 2 √(√A·B·√A)). */
export function frechet(
  a: readonly Float64Array[],
  b: readonly Float64Array[],
  d: number,
): number {
  const [p, q] = [moments(a, d), moments(b, d)];
  const shift = p.mean.reduce((sum, value, i) => sum + (value - q.mean[i]!) ** 2, 0);
  const root = power(p.covariance, d, 0.5);
  const middle = product(product(root, q.covariance, d), root, d);
  const trace = (m: Float64Array) => {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += m[i * d + i]!;
    return sum;
  };
  return shift + trace(p.covariance) + trace(q.covariance) - 2 * trace(power(middle, d, 0.5));
}

function moments(set: readonly Float64Array[], d: number) {
  const mean = new Float64Array(d);
  for (const row of set) row.forEach((value, i) => mean[i]! += value / set.length);
  const covariance = new Float64Array(d * d);
  for (const row of set) {
    for (let i = 0; i < d; i++) {
      for (let j = 0; j < d; j++) {
        covariance[i * d + j]! += (row[i]! - mean[i]!) * (row[j]! - mean[j]!) / set.length;
      }
    }
  }
  return { mean, covariance };
}

function product(a: Float64Array, b: Float64Array, d: number): Float64Array {
  const c = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let k = 0; k < d; k++) {
      for (let j = 0; j < d; j++) c[i * d + j]! += a[i * d + k]! * b[k * d + j]!;
    }
  }
  return c;
}

/** A power of a symmetric matrix without negative eigenvalues, by Jacobi's rotations. */
function power(matrix: Float64Array, d: number, exponent: number): Float64Array {
  const a = matrix.slice();
  const v = new Float64Array(d * d);
  for (let i = 0; i < d; i++) v[i * d + i] = 1;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < d; p++) {
      for (let q = p + 1; q < d; q++) {
        const off = a[p * d + q]!;
        if (Math.abs(off) < 1e-15) continue;
        const theta = Math.atan2(2 * off, a[q * d + q]! - a[p * d + p]!) / 2;
        const [c, s] = [Math.cos(theta), Math.sin(theta)];
        for (let k = 0; k < d; k++) {
          const [x, y] = [a[k * d + p]!, a[k * d + q]!];
          a[k * d + p] = c * x - s * y;
          a[k * d + q] = s * x + c * y;
        }
        for (let k = 0; k < d; k++) {
          const [x, y] = [a[p * d + k]!, a[q * d + k]!];
          a[p * d + k] = c * x - s * y;
          a[q * d + k] = s * x + c * y;
          const [u, w] = [v[k * d + p]!, v[k * d + q]!];
          v[k * d + p] = c * u - s * w;
          v[k * d + q] = s * u + c * w;
        }
      }
    }
  }
  const result = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      for (let k = 0; k < d; k++) {
        result[i * d + j]! += v[i * d + k]! * v[j * d + k]! *
          Math.max(0, a[k * d + k]!) ** exponent;
      }
    }
  }
  return result;
}
