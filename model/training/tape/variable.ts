import type { Device, Tensor } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import type { Gradient } from "../../../kernels/shared/gradient.ts";

/** A gradient that all views of a variable share. */
interface Cell {
  /** Null until an operation has sent something. */
  grad: Tensor | null;
  /** Shape of the gradient. */
  readonly shape: readonly number[];
  /** Whether the gradient belongs to a parameter: it is added to, and outlives the tape. */
  readonly parameter: boolean;
  /** Whether anybody asks for it. */
  readonly wanted: boolean;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** A tensor in a computation that is differentiated, and the gradient of the loss by it. */
export class Variable {
  private constructor(
    private readonly device: Device,
    /** What the forward pass computed. */
    readonly value: Tensor,
    private readonly cell: Cell,
  ) {}

  /** A tensor that no gradient is asked for. */
  static constant(device: Device, value: Tensor): Variable {
    const { shape } = value;
    return new Variable(device, value, { grad: null, shape, parameter: false, wanted: false });
  }

  /** A parameter, whose gradient is added to `grad`, f32 of the same shape. */
  static parameter(device: Device, value: Tensor, grad: Tensor): Variable {
    const { shape } = value;
    return new Variable(device, value, { grad, shape, parameter: true, wanted: true });
  }

  /** The output of an operation, or an input whose gradient is asked for. */
  static tracked(device: Device, value: Tensor): Variable {
    const { shape } = value;
    return new Variable(device, value, { grad: null, shape, parameter: false, wanted: true });
  }

  /** Whether anybody asks for its gradient. */
  get wanted(): boolean {
    return this.cell.wanted;
  }

  /** What was sent so far; null if nothing was. */
  get grad(): Tensor | null {
    return this.cell.grad;
  }

  /** Where an operation must put the gradient by this input, or null if nobody asks for it. */
  get gradient(): Gradient | null {
    const { cell, device, value } = this;
    if (!cell.wanted) return null;
    const add = cell.grad !== null;
    cell.grad ??= device.tensor(value.dtype, cell.shape, "gradient");
    return { tensor: cell.grad.reshape(...value.shape), add };
  }

  /** Calls `write` with where an operation puts the gradient by this input, if anybody asks for it. */
  receive(write: (gradient: Gradient) => void): void {
    const { gradient } = this;
    if (gradient) write(gradient);
  }

  /** Takes a whole gradient and its memory: the caller uses it no more. */
  take(gradient: Tensor): void {
    const { cell } = this;
    if (
      cell.wanted && cell.grad === null && gradient.dtype === this.value.dtype &&
      sameShape(gradient.shape, cell.shape)
    ) {
      cell.grad = gradient;
      return;
    }
    this.receive((where) => accumulate(this.device, gradient, where));
    gradient.dispose();
  }

  /** The same elements with another shape. Both have one gradient. */
  reshape(...shape: number[]): Variable {
    return new Variable(this.device, this.value.reshape(...shape), this.cell);
  }

  /** Hands over the gradient that it has received, if any: nobody sends more. */
  release(): Tensor | null {
    const { grad, parameter } = this.cell;
    if (parameter) return null;
    this.cell.grad = null;
    return grad;
  }
}
