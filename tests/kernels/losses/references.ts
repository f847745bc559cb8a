/**
 * What the kernels of this room compute, in float64, by the names of their launchers.
 *
 * @module
 */

/** log(1 + eᵘ), right for any u. */
const softplus = (u: number) => Math.max(u, 0) + Math.log1p(Math.exp(-Math.abs(u)));
const sigmoid = (u: number) => 1 / (1 + Math.exp(-u));

/** How bits are compared. */
export interface BitLoss {
  readonly B: number;
  readonly L: number;
  readonly d: number;
  /** Tokens of an image of the target bits. */
  readonly bitRows: number;
  readonly smoothing: number;
  readonly reduction: "mean" | "sum";
  readonly weights: ArrayLike<number>;
}

/** The target bit of each difference. */
function targets(bits: ArrayLike<number>, { B, L, d, bitRows }: BitLoss): Float64Array {
  return Float64Array.from({ length: B * L * d }, (_, i) => {
    const token = Math.floor(i / d);
    return bits[(Math.floor(token / L) * bitRows + token % L) * d + i % d]!;
  });
}

/** The losses of tokens, without weights. */
export function tokenLosses(
  z: Float64Array,
  bits: ArrayLike<number>,
  how: BitLoss,
): Float64Array {
  const t = targets(bits, how), losses = new Float64Array(how.B * how.L);
  z.forEach((v, i) => {
    const y = t[i]! * (1 - how.smoothing) + how.smoothing / 2;
    losses[Math.floor(i / how.d)]! += softplus(v) - y * v;
  });
  return how.reduction === "sum" ? losses : losses.map((loss) => loss / how.d);
}

/** The loss. */
export function bitCrossEntropy(
  z: Float64Array,
  bits: ArrayLike<number>,
  how: BitLoss,
): Float64Array {
  const sum = tokenLosses(z, bits, how).reduce(
    (sum, loss, i) => sum + loss * how.weights[i % how.L]!,
    0,
  );
  return Float64Array.of(sum / how.B);
}

/** Its gradient. */
export function bitCrossEntropyGradient(
  z: Float64Array,
  bits: ArrayLike<number>,
  how: BitLoss,
): Float64Array {
  const t = targets(bits, how);
  const mean = how.reduction === "sum" ? 1 : 1 / how.d;
  return z.map((v, i) => {
    const y = t[i]! * (1 - how.smoothing) + how.smoothing / 2;
    return (sigmoid(v) - y) * how.weights[Math.floor(i / how.d) % how.L]! * mean / how.B;
  });
}

/** What `bitCrossEntropy` sums for a log. */
export function bitStats(
  z: Float64Array,
  bits: ArrayLike<number>,
  starts: readonly number[],
  how: BitLoss,
): Float64Array {
  const { B, L, d, weights } = how;
  const losses = tokenLosses(z, bits, how), t = targets(bits, how);
  const ranges = [[0, L], ...starts.slice(1).map((end, s) => [starts[s]!, end])];
  return Float64Array.from(ranges.flatMap(([begin, end]) => {
    const sums = [0, 0, 0, 0];
    losses.forEach((loss, i) => {
      if (i % L < begin! || i % L >= end!) return;
      let right = 0;
      for (let k = i * d; k < (i + 1) * d; k++) right += Number(Number(z[k]! > 0) === t[k]);
      [loss * weights[i % L]! / B, loss, right / d, Number(right === d)]
        .forEach((v, column) => sums[column]! += v);
    });
    const count = Math.max(1, (end! - begin!) * B);
    return sums.map((sum, column) => column === 0 ? sum : sum / count);
  }));
}

/** Rows 2k + 1 less rows 2k, of `C` each. */
export function pairDifference(x: Float64Array, C: number): Float64Array {
  return Float64Array.from({ length: x.length / 2 }, (_, i) => {
    const at = 2 * Math.floor(i / C) * C + i % C;
    return x[at + C]! - x[at]!;
  });
}

/** Its gradient. */
export function pairDifferenceBackward(dy: Float64Array, C: number): Float64Array {
  return Float64Array.from({ length: 2 * dy.length }, (_, i) => {
    const row = Math.floor(i / C);
    return (row % 2 ? 1 : -1) * dy[(row >> 1) * C + i % C]!;
  });
}

/** What the losses of codes count, and how many components a vector has. */
export interface CodeLoss {
  readonly d: number;
  readonly vector: number;
  readonly codebook: number;
  readonly commitment: number;
  readonly inverseTemperature: number;
}

const entropyOf = (p: number) => -(p * Math.log(p + 1e-8) + (1 - p) * Math.log(1 - p + 1e-8));

/** The loss, the entropy of a vector, that of the codebook, and the commitment. */
export function codeLosses(n: Float64Array, how: CodeLoss): Float64Array {
  const { d, inverseTemperature } = how;
  const rows = n.length / d, means = new Float64Array(d);
  let vector = 0, commitment = 0;
  n.forEach((v, i) => {
    const p = sigmoid(-4 * inverseTemperature / Math.sqrt(d) * v);
    means[i % d]! += p / rows;
    vector += entropyOf(p) / rows;
    commitment += (v - (v > 0 ? 1 : -1) / Math.sqrt(d)) ** 2 / n.length;
  });
  const codebook = means.reduce((sum, p) => sum + entropyOf(p), 0);
  const loss = how.vector * vector - how.codebook * codebook + how.commitment * commitment;
  return Float64Array.of(loss, vector, codebook, commitment);
}

/** The gradient of the loss. */
export function codeLossesGradient(n: Float64Array, how: CodeLoss): Float64Array {
  const { d, inverseTemperature } = how;
  const rows = n.length / d, means = new Float64Array(d);
  const sharpness = 4 * inverseTemperature / Math.sqrt(d);
  const p = n.map((v) => sigmoid(-sharpness * v));
  p.forEach((v, i) => means[i % d]! += v / rows);
  const slope = (p: number) =>
    Math.log((1 - p + 1e-8) / (p + 1e-8)) + (1 - p) / (1 - p + 1e-8) - p / (p + 1e-8);
  return n.map((v, i) => {
    const byP = how.vector * slope(p[i]!) - how.codebook * slope(means[i % d]!);
    const error = v - (v > 0 ? 1 : -1) / Math.sqrt(d);
    return -byP * sharpness * p[i]! * (1 - p[i]!) / rows + 2 * how.commitment * error / n.length;
  });
}
