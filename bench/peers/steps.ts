/** Steps of training that several engines can do: a loss, its gradients, and an update by Adam. */

type Data = Float32Array<ArrayBuffer>;

/** What is learnt: values in row-major order. Matrices are [inputs, outputs]. */
export interface Learnt {
  readonly shape: readonly number[];
  readonly data: Data;
}

/** What both kinds of steps have. The loss is the mean binary cross-entropy of logits [M, N] and `bits` [M, N]. */
interface Step {
  readonly M: number;
  readonly x: Data;
  readonly bits: Data;
  /** In the order in which the engine's result, after the loss, has them. */
  readonly learnt: readonly Learnt[];
}

/** Logits = silu(x · w1) · w2: x [M, K], w1 [K, H], w2 [H, N]. */
export interface MlpStep extends Step {
  readonly op: "mlp_step";
  readonly K: number;
  readonly H: number;
  readonly N: number;
}

/**
 * Logits = x + attention(norm(x) · qkv) · out, N = C: x [B·L, C], norm's weight and bias [C], qkv [C, 3C], out [C, C].
 * The rows of each of the B sequences attend to each other.
 */
export interface AttentionStep extends Step {
  readonly op: "attention_step";
  readonly B: number;
  readonly L: number;
  readonly C: number;
  readonly heads: number;
}

/** Adam without decay; eps is added to the deviation. */
export const ADAM = { rate: 1e-3, betas: [0.9, 0.97], eps: 1e-8 } as const;

/** The loss, then what is learnt: what engines are compared by. */
export function stepResult(loss: number, learnt: readonly Float32Array[]): Float32Array {
  return Float32Array.from([loss, ...learnt.flatMap((values) => [...values])]);
}
