import { type Bias, type Factor, linear, type LinearOptions } from "../ops/linear.ts";
import { type Adapter, lora } from "../ops/lora.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";

/** Where a network finds its parameters, by their names in the checkpoint: trained ones, or frozen ones. */
export interface Layers {
  /**
   * The parameter of a name.
   *
   * @throws {CheckpointError} `missing-tensor`: there is none of that name.
   */
  get(name: string): Variable;
  /** The weight of the linear layer `name`; {@link Layers.get} of `name.weight` if absent. */
  weight?(name: string): Factor;
  /** The adapter of the linear layer whose weight is `name`, if it has one. */
  adapter?(name: string): Adapter | undefined;
}

/** The linear layer `name`, with its adapter; its bias is `name.bias` if absent, and null is none. */
export function layer(
  tape: Tape,
  layers: Layers,
  x: Variable,
  name: string,
  bias?: Bias | null,
  options: LinearOptions = {},
): Variable {
  const weight = layers.weight?.(name) ?? layers.get(`${name}.weight`);
  const added = bias === undefined ? layers.get(`${name}.bias`) : bias;
  const adapter = layers.adapter?.(`${name}.weight`);
  return adapter
    ? lora(tape, x, weight, added, adapter, options)
    : linear(tape, x, weight, added, options);
}
