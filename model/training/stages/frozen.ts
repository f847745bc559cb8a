import { CheckpointError, type Device, type TensorFile } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import { StoredMatrix } from "../../checkpoint/stored_matrix.ts";
import type { NamedShape } from "../../checkpoint/tensor_shapes.ts";
import { Weights } from "../../checkpoint/weights.ts";
import type { Layers } from "../networks/layers.ts";
import type { Factor } from "../ops/linear.ts";
import type { Adapter } from "../ops/lora.ts";
import { isLinear } from "../session/adapters.ts";
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

/** A transformer's parameters that do not learn, and the adapters in their place. */
export class FrozenLayers implements Layers {
  readonly #variables: Map<string, Variable> = new Map();
  readonly #matrices: Map<string, StoredMatrix> = new Map();

  private constructor(
    private readonly weights: Weights,
    readonly adapter: (name: string) => Adapter | undefined,
  ) {}

  /**
   * Loads tensors: matrices of linear layers as the file has them, others as f32. Owns the weights from then on.
   *
   * @throws {CheckpointError} One is missing, or has another shape.
   */
  static async load(
    weights: Weights,
    names: Iterable<NamedShape>,
    adapter: (name: string) => Adapter | undefined = () => undefined,
  ): Promise<FrozenLayers> {
    const layers = new FrozenLayers(weights, adapter);
    for (const [name, shape] of names) await layers.#add(name, shape);
    return layers;
  }

  async #add(name: string, shape: readonly number[]): Promise<void> {
    const { weights } = this;
    const [N = 0, K = 0] = shape;
    const loaded = isLinear([name, shape])
      ? await weights.stored(name, [N, K])
      : await weights.tensor(name, shape);
    if (loaded instanceof StoredMatrix) {
      this.#matrices.set(name, loaded);
    } else {
      this.#variables.set(name, Variable.constant(weights.device, loaded.reshape(...shape)));
    }
  }

  get(name: string): Variable {
    const variable = this.#variables.get(name);
    if (variable) return variable;
    throw new CheckpointError("missing-tensor", `Cannot find the parameter ${name}`);
  }

  weight(name: string): Factor {
    return this.#matrices.get(`${name}.weight`) ?? this.get(`${name}.weight`);
  }

  /** Frees the tensors. */
  dispose(): void {
    this.weights.dispose();
  }
}
