import type { Device, Tensor } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import type { FloatType } from "../../../kernels/linear/weight_types.ts";
import { Variable } from "./variable.ts";

/** Watches what a tape does, to find the operation that went wrong. */
export interface Observer {
  /** An operation made `output` of `inputs`. Returns a number for it. */
  done(output: Tensor, inputs: readonly Variable[]): number;
  /** The operation of that number is about to be undone, with the gradient `dy` by its output. */
  undo(operation: number, dy: Tensor): void;
  /** It has sent gradients to its inputs. */
  undone(operation: number, inputs: readonly Variable[]): void;
}

/** An operation that was done. */
interface Step {
  /** What the observer calls it, if there is one. */
  readonly number?: number | undefined;
  readonly output: Variable;
  readonly inputs: readonly Variable[];
  /** What the tape frees once the step is undone. */
  readonly owned: readonly Tensor[];
  /** Sends the gradient of the output on to the inputs. */
  readonly backward: (dy: Tensor) => void;
}

/** How a tape computes. */
export interface TapeOptions {
  /** Type of activations that one operation makes for the next; f32 if absent. */
  readonly dtype?: FloatType;
  /** The loss is multiplied by it, so that small gradients do not vanish in f16; 1 if absent. */
  readonly lossScale?: number;
  /** Watches each operation. */
  readonly observer?: Observer;
}

/**
 * Reverse-mode differentiation: a list of the operations that were done, each with a function that sends the gradient
 * of its output to its inputs. Unwinding it calls them in reverse order, and frees what each operation made.
 */
export class Tape {
  /** Type of activations. */
  readonly dtype: FloatType;
  /** What a loss multiplies its gradient by. */
  readonly lossScale: number;
  #steps: Step[] = [];
  #kept: { dispose(): void }[] = [];
  /** Outputs of operations that are not recorded yet. */
  #unrecorded: Set<Tensor> = new Set();

  /** Begins an empty tape. */
  constructor(readonly device: Device, private readonly options: TapeOptions = {}) {
    this.dtype = options.dtype ?? "f32";
    this.lossScale = options.lossScale ?? 1;
  }

  /** A tensor that no gradient is asked for. The caller keeps it until the tape is unwound. */
  constant(value: Tensor): Variable {
    return Variable.constant(this.device, value);
  }

  /**
   * Records an operation that made `value` of `inputs`, and returns it as a variable. If no input wants a gradient,
   * neither does the output, and `backward` is never called.
   *
   * @param value Owned by the tape from now on.
   * @param backward Called once with the gradient by `value`, unless the loss does not depend on it. An input may
   *   {@link Variable.take} it; otherwise the tape frees it.
   * @param saved Tensors that `backward` needs, owned by the tape from now on.
   */
  record(
    value: Tensor,
    inputs: readonly Variable[],
    backward: (dy: Tensor) => void,
    saved: readonly Tensor[] = [],
  ): Variable {
    const { device } = this;
    const wanted = inputs.some((input) => input.wanted);
    const output = wanted ? Variable.tracked(device, value) : Variable.constant(device, value);
    const number = this.options.observer?.done(value, inputs);
    const owned = [value, ...saved];
    for (const tensor of owned) this.#unrecorded.delete(tensor);
    this.#steps.push({ number, output, inputs, owned, backward });
    return output;
  }

  /** Allocates an output [..shape] of the type of activations, which is to be recorded. The tape owns it until then, too. */
  output(shape: readonly number[], label?: string, dtype: FloatType = this.dtype): Tensor {
    const tensor = this.device.tensor(dtype, shape, label);
    this.#unrecorded.add(tensor);
    return tensor;
  }

  /** Owns what operations need besides tensors that they made, until the tape is unwound. */
  keep<T extends { dispose(): void }>(resource: T): T {
    this.#kept.push(resource);
    return resource;
  }

  /**
   * Does `forward` without keeping what it makes on the way, and does it again when the tape is unwound: half as much
   * again to compute, and the memory of one such part at a time. `forward` must make the same of the same.
   */
  recompute(forward: (tape: Tape) => Variable): Variable {
    using first = new Tape(this.device, this.options);
    const { value, wanted } = first.#detach(forward(first));
    const output = wanted ? Variable.tracked(this.device, value) : this.constant(value);
    const backward = (dy: Tensor) => {
      using again = new Tape(this.device, this.options);
      const made = forward(again);
      made.receive((where) => accumulate(this.device, dy, where));
      again.unwind();
    };
    this.#steps.push({ output, inputs: [], owned: [value], backward });
    return output;
  }

  /** Frees what was made but `output`, which is the caller's from now on. */
  #detach(output: Variable): { value: Tensor; wanted: boolean } {
    for (const { owned } of this.#steps.splice(0)) {
      for (const tensor of owned) if (tensor !== output.value) tensor.dispose();
    }
    this.dispose();
    return output;
  }

  /** Sends the gradients that outputs have received back to the parameters, and frees everything. */
  unwind(): void {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      const { number = -1, output, inputs, owned, backward } = step;
      const observer = number < 0 ? undefined : this.options.observer;
      const grad = output.release();
      try {
        if (!grad) continue;
        observer?.undo(number, grad);
        backward(grad);
        observer?.undone(number, inputs);
      } finally {
        if (!inputs.some((input) => input.grad === grad)) grad?.dispose();
        for (const tensor of owned) tensor.dispose();
      }
    }
    this.dispose();
  }

  /** Frees everything without computing gradients: after a forward pass alone, or an error. */
  dispose(): void {
    for (const { output, owned } of this.#steps.splice(0)) {
      output.release()?.dispose();
      for (const tensor of owned) tensor.dispose();
    }
    for (const resource of [...this.#kept.splice(0), ...this.#unrecorded]) resource.dispose();
    this.#unrecorded.clear();
  }

  /** Calls {@link Tape.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
