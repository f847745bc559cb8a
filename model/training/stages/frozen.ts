import { CheckpointError, type Device, type Tensor, type TensorFile } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import { Weights } from "../../checkpoint/weights.ts";
import type { NamedShape } from "../../checkpoint/tensor_shapes.ts";
import type { Layers } from "../networks/layers.ts";
import type { Adapter } from "../ops/lora.ts";
import type { Parameters } from "../tape/parameters.ts";
import { Variable } from "../tape/variable.ts";

/**
 * Copies the tensors of a file to parameters of the same names.
 *
 * @throws {CheckpointError} One is missing, or has another shape.
 */
export async function loadParameters(
  device: Device,
  parameters: Parameters,
  file: TensorFile,
  names: readonly NamedShape[],
): Promise<void> {
  for (const [name, shape] of names) {
    const weights = new Weights(device, file, "f32");
    try {
      const tensor = await weights.tensor(name, shape);
      accumulate(device, tensor, { tensor: parameters.get(name).value, add: false });
    } finally {
      weights.dispose();
    }
  }
}

/** Parameters that do not learn, and the adapters in their place. */
export class FrozenLayers implements Layers {
  readonly #variables: Map<string, Variable> = new Map();

  private constructor(
    private readonly weights: Weights,
    readonly adapter: (name: string) => Adapter | undefined,
  ) {}

  /** Loads tensors as f32. @throws {CheckpointError} One is missing, or has another shape. */
  static async load(
    device: Device,
    file: TensorFile,
    names: readonly NamedShape[],
    adapter: (name: string) => Adapter | undefined = () => undefined,
  ): Promise<FrozenLayers> {
    const layers = new FrozenLayers(new Weights(device, file, "f32"), adapter);
    try {
      for (const [name, shape] of names) {
        const tensor: Tensor = await layers.weights.tensor(name, shape);
        layers.#variables.set(name, Variable.constant(device, tensor.reshape(...shape)));
      }
    } catch (error) {
      layers.dispose();
      throw error;
    }
    return layers;
  }

  get(name: string): Variable {
    const variable = this.#variables.get(name);
    if (variable) return variable;
    throw new CheckpointError("missing-tensor", `Cannot find the parameter ${name}`);
  }

  /** Frees the tensors. */
  dispose(): void {
    this.weights.dispose();
  }
}
