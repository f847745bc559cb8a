import { KernelError, type Tensor } from "../../../engine/mod.ts";
import { columnSums } from "../../../kernels/linear/column_sums.ts";
import { matmul } from "../../../kernels/linear/matmul.ts";
import { matmulBackward } from "../../../kernels/linear/matmul_backward.ts";
import { packOperand } from "../../../kernels/linear/operand.ts";
import type { FloatType } from "../../../kernels/linear/weight_types.ts";
import { StoredMatrix } from "../../checkpoint/stored_matrix.ts";
import type { Tape } from "../tape/tape.ts";
import { Variable } from "../tape/variable.ts";

/** A matrix [N, K]: f32, or one that does not learn, as its file holds it. */
export type Factor = Variable | StoredMatrix;

/** A weight [N, K], or several [Nᵢ, K] stacked along N: all Nᵢ but the last are divisible by 4. */
export type Weight = Factor | readonly Factor[];

/** A bias [N] f32, or parts of one, one after the other, of which a number stands for so many zeros. */
export type Bias = Variable | readonly (Variable | number)[];

/** Options of {@link linear}. */
export interface LinearOptions {
  /** Type of y; that of activations if absent. */
  readonly dtype?: FloatType;
}

/**
 * y = x · Wᵀ + b (`torch.nn.Linear`): [.., K] to [.., N]. Factors are rounded to the type of activations, sums are f32.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function linear(
  tape: Tape,
  x: Variable,
  weight: Weight,
  bias: Bias | null = null,
  { dtype = tape.dtype }: LinearOptions = {},
): Variable {
  const product = new Product(tape, weight, bias);
  const y = tape.output([...x.value.shape.slice(0, -1), product.N], "product", dtype);
  product.forward(x.value, y);
  return tape.record(y, [x, ...product.inputs], (dy) => product.backward(x, dy));
}

function isFactor(weight: Weight): weight is Factor {
  return weight instanceof Variable || weight instanceof StoredMatrix;
}

function rowsOf(weight: Factor): number {
  const { shape } = weight instanceof Variable ? weight.value : weight;
  return shape[0]!;
}

function lengthOf(part: Variable | number): number {
  return typeof part === "number" ? part : part.value.elements;
}

/** A product by parameters: what {@link linear} and {@link lora} are made of. */
export class Product {
  readonly #weights: readonly Factor[];
  readonly #bias: readonly (Variable | number)[];

  /**
   * Prepares y = scale · x · Wᵀ + b.
   *
   * @throws {KernelError} `bad-shape`: the bias is not as long as W has rows.
   */
  constructor(
    private readonly tape: Tape,
    weight: Weight,
    bias: Bias | null = null,
    private readonly scale: number = 1,
  ) {
    this.#weights = isFactor(weight) ? [weight] : weight;
    this.#bias = bias instanceof Variable ? [bias] : bias ?? [];
    const given = this.#bias.reduce<number>((sum, part) => sum + lengthOf(part), 0);
    if (this.#bias.length > 0 && given !== this.N) {
      throw new KernelError("bad-shape", `Cannot add a bias of ${given} to ${this.N} columns`);
    }
  }

  /** Columns of y. */
  get N(): number {
    return this.#weights.reduce((sum, weight) => sum + rowsOf(weight), 0);
  }

  /** What gradients may be asked for of, besides x. */
  get inputs(): readonly Variable[] {
    return [...this.#weights, ...this.#bias].filter((part) => part instanceof Variable);
  }

  /** Computes y, or adds it to what y holds. */
  forward(x: Tensor, y: Tensor, add: boolean = false): void {
    const { tape: { device, dtype }, scale } = this;
    using bias = this.#joinBias();
    using weights = this.#open();
    const how = { transposed: true, dtype, scale, bias };
    using operand = packOperand(device, weights.values, how);
    matmul(device, { x, linear: operand, y, epilogue: add ? "add" : "none" });
  }

  /** The weights' values for one use. */
  #open(): { readonly values: readonly Tensor[] } & Disposable {
    const values = this.#weights.map((weight) =>
      weight instanceof Variable ? weight.value.reshape(...weight.value.shape) : weight.widened()
    );
    return { values, [Symbol.dispose]: () => values.forEach((value) => value.dispose()) };
  }

  /** Sends the gradient by y on, to all who ask for it. */
  backward(x: Variable, dy: Tensor): void {
    const { tape: { device, dtype }, scale } = this;
    using weights = this.#open();
    matmulBackward(device, {
      x: x.value,
      weights: weights.values,
      dy,
      dx: x.gradient,
      dweights: this.#weights.map((weight) => weight instanceof Variable ? weight.gradient : null),
      dbiases: this.#bias.map((part) =>
        typeof part === "number" ? part : part.gradient ?? lengthOf(part)
      ),
      scale,
      dtype,
    });
  }

  /** The whole bias, in memory of its own if it has parts. */
  #joinBias(): Tensor | null {
    const [first, ...rest] = this.#bias;
    if (first === undefined) return null;
    if (first instanceof Variable && rest.length === 0) return first.value.reshape(this.N);
    const { device } = this.tape;
    const joined = device.tensor("f32", [Math.ceil(this.N / 4) * 4], "bias");
    using nothing = device.tensor("f32", [0]);
    let offset = 0;
    for (const part of this.#bias) {
      const length = lengthOf(part);
      // a sum of one row is a copy, and a sum of none is zero
      const x = typeof part === "number"
        ? nothing.reshape(0, length)
        : part.value.reshape(1, length);
      columnSums(device, { x, y: { tensor: joined, add: false }, offset });
      offset += length;
    }
    return joined;
  }
}
