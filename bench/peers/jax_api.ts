/** The part of jax-js that is used here. A function takes ownership of its arguments; `ref` adds a reference. */
export interface Jax {
  init(device: "webgpu"): Promise<string[]>;
  defaultDevice(device: "webgpu"): string;
  blockUntilReady(arrays: JaxArray[]): Promise<unknown>;
  jit<F extends (...args: JaxArray[]) => JaxArray | JaxArray[]>(f: F): F;
  valueAndGrad(
    f: (...args: JaxArray[]) => JaxArray,
    options: { argnums: number[] },
  ): (...args: JaxArray[]) => [JaxArray, JaxArray[]];
  readonly numpy: {
    array(data: Float32Array<ArrayBuffer>, options: { shape: number[] }): JaxArray;
    matmul(x: JaxArray, y: JaxArray): JaxArray;
    mean(x: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    split(x: JaxArray, parts: number, axis: number): JaxArray[];
  };
  readonly lax: {
    conv(
      x: JaxArray,
      w: JaxArray,
      strides: number[],
      padding: "SAME",
    ): JaxArray;
  };
  readonly nn: {
    gelu(x: JaxArray): JaxArray;
    silu(x: JaxArray): JaxArray;
    softplus(x: JaxArray): JaxArray;
    standardize(
      x: JaxArray,
      axis: number,
      options: { epsilon: number },
    ): JaxArray;
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray): JaxArray;
  };
}

/** An array of jax-js. */
export interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray): JaxArray;
  reshape(shape: number[]): JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}
