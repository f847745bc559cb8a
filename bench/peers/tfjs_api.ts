/** The part of TensorFlow.js that is used here. */
export interface Tf {
  setBackend(name: "webgpu"): Promise<boolean>;
  tensor(data: Float32Array<ArrayBuffer>, shape: readonly number[]): TfTensor;
  variable(initial: TfTensor): TfTensor;
  softplus(x: TfTensor): TfTensor;
  transpose(x: TfTensor, axes: readonly number[]): TfTensor;
  split(x: TfTensor, parts: number, axis: number): TfTensor[];
  readonly train: {
    adam(rate: number, beta1: number, beta2: number, eps: number): {
      minimize(f: () => TfTensor, returnCost: true, learnt: readonly TfTensor[]): TfTensor;
      dispose(): void;
    };
  };
  tidy(make: () => TfTensor): TfTensor;
  add(x: TfTensor, y: TfTensor | number): TfTensor;
  sub(x: TfTensor, y: TfTensor): TfTensor;
  mul(x: TfTensor, y: TfTensor | number): TfTensor;
  tanh(x: TfTensor): TfTensor;
  sigmoid(x: TfTensor): TfTensor;
  square(x: TfTensor): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  mean(x: TfTensor, axis?: number, keep?: true): TfTensor;
  slice(
    x: TfTensor,
    begin: readonly number[],
    size: readonly number[],
  ): TfTensor;
  matMul(
    x: TfTensor,
    y: TfTensor,
    transposeX?: boolean,
    transposeY?: boolean,
  ): TfTensor;
  readonly fused: {
    conv2d(
      options: {
        x: TfTensor;
        filter: TfTensor;
        bias: TfTensor;
        strides: 1;
        pad: "same";
      },
    ): TfTensor;
  };
  readonly image: {
    resizeBilinear(
      x: TfTensor,
      size: [number, number],
      corners: false,
      centres: true,
    ): TfTensor;
  };
}

/** A tensor of TensorFlow.js. */
export interface TfTensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}
