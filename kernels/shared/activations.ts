/** Functions between two products. */
export type Activation = "gelu" | "silu";

/**
 * Bodies of WGSL functions of `v` for each function, and for its slope. GELU is the tanh form, written as v · sigmoid(2u): one
 * exp, where tanh is a long sequence of instructions.
 */
export const ACTIVATIONS = {
  gelu: {
    value: "return v / (1 + exp(-1.5957691216057308 * (v + 0.044715 * v * v * v)));",
    // beyond 20 the sigmoid is 0 or 1, and the square may overflow
    slope: `let c = clamp(v, V() - 20, V() + 20);
  let s = 1 / (1 + exp(-1.5957691216057308 * (c + 0.044715 * c * c * c)));
  return fma(c * s * (1 - s), 1.5957691216057308 * (1 + 0.134145 * c * c), s);`,
  },
  silu: {
    value: "return v / (1 + exp(-v));",
    slope: "let s = 1 / (1 + exp(-v));\n  return fma(v * (1 - s), s, s);",
  },
} as const;

/** WGSL `activation(v)`: of V, a scalar or vector of f32. */
export function activationLines(kind: Activation): string {
  return `fn activation(v: V) -> V { ${ACTIVATIONS[kind].value} }`;
}

/** WGSL `slope(v)`: the derivative of {@link activationLines}. */
export function slopeLines(kind: Activation): string {
  return `fn slope(v: V) -> V {\n  ${ACTIVATIONS[kind].slope}\n}`;
}
