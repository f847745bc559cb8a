/**
 * What the kernels of this room compute, in float64.
 *
 * @module
 */

/** What an update does. */
export interface Update {
  /** What gradients are multiplied by. */
  readonly factor: number;
  /** Learning rate, and weight decay as a share of it. */
  readonly rate: number;
  readonly decay: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  /** Number of the update, from 1. */
  readonly n: number;
  /** Largest decay of the moving average. */
  readonly ema: number;
}

/** Parameters and what is kept of them, updated in place. */
export interface State {
  readonly value: Float64Array;
  readonly grad: Float64Array;
  readonly m: Float64Array;
  readonly v: Float64Array;
  readonly ema: Float64Array;
}

/** √Σ(unscale · g)² over all gradients. */
export function globalNorm(grads: readonly Float64Array[], unscale: number): number {
  let sum = 0;
  for (const grad of grads) for (const g of grad) sum += (unscale * g) ** 2;
  return Math.sqrt(sum);
}

/** What gradients are multiplied by for their scale and for clipping. */
export function factor(norm: number, unscale: number, clip: number | null): number {
  return clip === null ? unscale : unscale * Math.min(1, clip / (norm + 1e-6));
}

/** Decay of the moving average at update n, from 1. */
export function emaDecay(ema: number, n: number): number {
  return Math.min(ema, (1 + n) / (10 + n));
}

/** An update of AdamW. */
export function adamw({ value, grad, m, v, ema }: State, update: Update): void {
  const { factor, rate, decay, betas: [beta1, beta2], eps, n } = update;
  for (let i = 0; i < value.length; i++) {
    const g = factor * grad[i]!;
    m[i] = beta1 * m[i]! + (1 - beta1) * g;
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    const mean = m[i]! / (1 - beta1 ** n);
    const deviation = Math.sqrt(v[i]! / (1 - beta2 ** n));
    value[i] = value[i]! * (1 - rate * decay) - rate * mean / (deviation + eps);
    ema[i]! += (1 - emaDecay(update.ema, n)) * (value[i]! - ema[i]!);
  }
  grad.fill(0);
}
