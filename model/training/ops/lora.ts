import type { Tape } from "../tape/tape.ts";
import { Variable } from "../tape/variable.ts";
import { type Bias, type LinearOptions, Product, type Weight } from "./linear.ts";

/** A low-rank adapter of a linear layer (LoRA, arXiv 2106.09685). */
export interface Adapter {
  /** A [r, K] f32. */
  readonly down: Variable;
  /** B [N, r] f32, zeros at the beginning of training. */
  readonly up: Variable;
  /** Factor of their product: α / r. */
  readonly strength: number;
}

/**
 * y = x · Wᵀ + b + strength · (x · Aᵀ) · Bᵀ: a linear layer with an adapter. Where W and b are constants, no gradient by
 * them is computed.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function lora(
  tape: Tape,
  x: Variable,
  weight: Weight,
  bias: Bias | null,
  { down, up, strength }: Adapter,
  { dtype = tape.dtype }: LinearOptions = {},
): Variable {
  const base = new Product(tape, weight, bias);
  const first = new Product(tape, down);
  const second = new Product(tape, up, null, strength);
  const rows = x.value.shape.slice(0, -1);
  const y = tape.output([...rows, base.N], "product", dtype);
  base.forward(x.value, y);
  const hidden = tape.output([...rows, first.N], "adapted");
  first.forward(x.value, hidden);
  second.forward(hidden, y, true);
  const between = Variable.tracked(tape.device, hidden);
  return tape.record(y, [x, ...base.inputs, down, up], (dy) => {
    base.backward(x, dy);
    second.backward(between, dy);
    using gradient = between.release()!;
    first.backward(x, gradient);
  }, [hidden]);
}
