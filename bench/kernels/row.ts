import type { Device, Tensor } from "../../engine/mod.ts";

/** What to time, and the work of one run: operations, or bytes that must be read or written at least once. */
type Work =
  & { readonly run: () => void }
  & ({ readonly flops: number } | { readonly bytes: number });

/**
 * One row of the table: the file name of a launcher, a description of the shapes, and a function that makes the
 * tensors.
 */
export interface Row {
  readonly name: string;
  readonly shape: string;
  readonly setup: (device: Device, t: Tensors) => Work;
}

/** Makes the tensors of a row. Values are ordinary numbers: zeros and denormals may be faster or slower. */
export class Tensors extends DisposableStack {
  constructor(protected readonly device: Device) {
    super();
  }

  f32(...shape: number[]): Tensor {
    const tensor = this.use(this.device.tensor("f32", shape));
    this.device.upload(tensor, new Float32Array(tensor.elements).map((_, i) => Math.sin(i * 1.7)));
    return tensor;
  }

  u32(shape: number[], value: (i: number) => number = () => 0): Tensor {
    const tensor = this.use(this.device.tensor("u32", shape));
    this.device.upload(tensor, new Uint32Array(tensor.elements).map((_, i) => value(i)));
    return tensor;
  }
}
