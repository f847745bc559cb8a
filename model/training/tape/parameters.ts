import { CheckpointError, type Device, type Tensor } from "../../../engine/mod.ts";
import { fill } from "../../../kernels/elementwise/fill.ts";
import { Variable } from "./variable.ts";

/** What a parameter is. */
export interface ParameterSpec {
  /** Name in the checkpoint. */
  readonly name: string;
  /** Its shape there. */
  readonly shape: readonly number[];
  /** Whether weight decay applies. */
  readonly decay: boolean;
}

/** A part of memory that holds many parameters, one after the other, so that one dispatch updates them all. */
export interface Page {
  /** Values, f32 [elements]. */
  readonly value: Tensor;
  /** Gradients, likewise. */
  readonly grad: Tensor;
  /** Whether weight decay applies to them. */
  readonly decay: boolean;
  /** The parameters in it. */
  readonly places: readonly Place[];
}

/** Where a parameter is in a page. */
export interface Place {
  /** The parameter. */
  readonly spec: ParameterSpec;
  /** Its first element. */
  readonly start: number;
}

/** The part of a page, or of memory laid out like it, that belongs to a parameter. */
export function placeIn(memory: Tensor, { spec: { shape }, start }: Place): Tensor {
  const count = shape.reduce((product, n) => product * n, 1);
  return memory.rows(start, count).reshape(...shape);
}

/** Elements to whose multiples parameters are aligned: kernels bind them at 256 bytes. */
const ALIGN = 64;

/** Trainable parameters: f32 values and gradients, by their names in the checkpoint. */
export class Parameters {
  /** All memory. Whatever updates parameters goes through it. */
  readonly pages: readonly Page[];
  readonly #variables: Map<string, Variable> = new Map();

  /**
   * Allocates values, which are undefined until they are uploaded, and gradients of zero.
   *
   * @throws {OutOfMemoryError} They do not fit.
   */
  constructor(private readonly device: Device, readonly specs: readonly ParameterSpec[]) {
    const { maxBufferSize, maxStorageBufferBindingSize } = device.gpu.limits;
    const most = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4);
    const groups = [true, false].flatMap((decay) => paginate(specs, decay, most));
    this.pages = device.allOrNothing(() =>
      groups.map(({ places, elements, decay }) => {
        const value = device.tensor("f32", [elements], "parameters", "weights");
        const grad = device.tensor("f32", [elements], "gradients");
        return { value, grad, decay, places };
      })
    );
    for (const { value, grad, places } of this.pages) {
      for (const place of places) {
        const variable = Variable.parameter(device, placeIn(value, place), placeIn(grad, place));
        this.#variables.set(place.spec.name, variable);
      }
    }
    this.clearGradients();
  }

  /**
   * The parameter of a name.
   *
   * @throws {CheckpointError} `missing-tensor`: there is none of that name.
   */
  get(name: string): Variable {
    const variable = this.#variables.get(name);
    if (variable) return variable;
    throw new CheckpointError("missing-tensor", `Cannot find the parameter ${name}`);
  }

  /** Whether there is a parameter of that name. */
  has(name: string): boolean {
    return this.#variables.has(name);
  }

  /** Number of elements of all parameters. */
  get count(): number {
    return this.specs.reduce((sum, { shape }) => sum + shape.reduce((p, n) => p * n, 1), 0);
  }

  /** Sets all gradients to zero. */
  clearGradients(): void {
    for (const { grad } of this.pages) fill(this.device, grad, 0);
  }

  /** Frees values and gradients. */
  dispose(): void {
    for (const { value, grad } of this.pages) {
      value.dispose();
      grad.dispose();
    }
  }

  /** Calls {@link Parameters.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Lays out the parameters with or without decay in pages of `most` elements. */
function paginate(specs: readonly ParameterSpec[], decay: boolean, most: number) {
  const pages: { places: Place[]; elements: number; decay: boolean }[] = [];
  for (const spec of specs) {
    if (spec.decay !== decay) continue;
    const count = Math.ceil(spec.shape.reduce((p, n) => p * n, 1) / ALIGN) * ALIGN;
    let page = pages.at(-1);
    if (!page || page.elements + count > most) {
      pages.push(page = { places: [], elements: 0, decay });
    }
    page.places.push({ spec, start: page.elements });
    page.elements += count;
  }
  return pages;
}
