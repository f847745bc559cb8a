import { Device, type Tensor } from "../../engine/mod.ts";
import { EPS, isStep, type Operation, type Problem, transpose } from "./cases.ts";
import { prepareStep } from "./bitwise_steps.ts";
import type { Peer, Prepared } from "./engine.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { resample } from "../../kernels/bits/resample.ts";
import { conv2d } from "../../kernels/conv/conv2d.ts";
import { packConv } from "../../kernels/conv/conv2d_weight.ts";
import { gatedGelu } from "../../kernels/elementwise/gated_gelu.ts";
import { activate } from "../../kernels/elementwise/activate.ts";
import { packLinear } from "../../kernels/linear/linear.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { groupNorm } from "../../kernels/norm/group_norm.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";

/** A function that runs a problem once, and the tensor of its result. */
interface Work {
  readonly y: Tensor;
  readonly run: () => void;
}

/** Tensors that are disposed together with the problem. */
class Tensors extends DisposableStack {
  constructor(readonly device: Device) {
    super();
  }

  of(data: Float32Array<ArrayBuffer>, ...shape: number[]): Tensor {
    return this.use(this.device.from("f32", shape, data));
  }

  empty(...shape: number[]): Tensor {
    return this.use(this.device.tensor("f32", shape));
  }
}

function work(device: Device, t: Tensors, problem: Operation): Work {
  switch (problem.op) {
    case "matmul": {
      const { M, K, N } = problem;
      const weight = device.from(
        "f32",
        [N, K],
        transpose(problem.w, [K, N], [1, 0]),
      );
      const linear = packLinear(device, [weight], null);
      weight.dispose();
      t.defer(() => linear.weight.dispose());
      const [x, y] = [t.of(problem.x, M, K), t.empty(M, N)];
      return { y, run: () => matmul(device, { x, linear, y }) };
    }
    case "attention": {
      const { heads, queries, keys, headDim } = problem;
      const [q, y] = [
        t.of(problem.q, queries, heads, headDim),
        t.empty(queries, heads, headDim),
      ];
      const [k, v] = [
        t.of(problem.k, keys, heads, headDim),
        t.of(problem.v, keys, heads, headDim),
      ];
      const spans = t.use(
        device.from("u32", [1, 4], Uint32Array.of(0, queries, 0, keys)),
      );
      const scale = 1 / Math.sqrt(headDim);
      const args = {
        q,
        k,
        v,
        y,
        spans,
        maxQueries: queries,
        heads,
        headDim,
        scale,
      };
      return { y, run: () => attention(device, args) };
    }
    case "conv2d": {
      const { size, C, N } = problem;
      const turned = transpose(problem.w, [3, 3, C, N], [3, 2, 0, 1]);
      const weight = device.from("f32", [N, C, 3, 3], turned);
      const conv = packConv(device, weight, t.of(problem.bias, N));
      weight.dispose();
      t.defer(() => conv.weight.dispose());
      const [x, y] = [
        t.of(problem.x, 1, size, size, C),
        t.empty(1, size, size, N),
      ];
      return { y, run: () => conv2d(device, { x, conv, y }) };
    }
    case "layer_norm": {
      const { M, C } = problem;
      const [x, y] = [t.of(problem.x, M, C), t.empty(M, C)];
      const args = {
        x,
        y,
        weight: t.of(problem.weight, C),
        bias: t.of(problem.bias, C),
        eps: EPS,
      };
      return { y, run: () => layerNorm(device, args) };
    }
    case "group_norm": {
      const { size, C, groups } = problem;
      const [x, y] = [
        t.of(problem.x, 1, size, size, C),
        t.empty(1, size, size, C),
      ];
      const [weight, bias] = [t.of(problem.weight, C), t.of(problem.bias, C)];
      return {
        y,
        run: () => groupNorm(device, { x, y, weight, bias, groups, eps: EPS }),
      };
    }
    case "gated_gelu": {
      const { M, C } = problem;
      // the layout that the layer before writes: both halves of a row side by side
      const pair = new Float32Array(2 * M * C);
      for (let m = 0; m < M; m++) {
        pair.set(problem.x.subarray(m * C, (m + 1) * C), 2 * m * C);
        pair.set(problem.gate.subarray(m * C, (m + 1) * C), (2 * m + 1) * C);
      }
      const [h, y] = [t.of(pair, M, 2 * C), t.empty(M, C)];
      return { y, run: () => gatedGelu(device, { h, y }) };
    }
    case "silu": {
      const { M, C } = problem;
      const [x, y] = [t.of(problem.x, M, C), t.empty(M, C)];
      return { y, run: () => activate(device, { x, y, kind: "silu" }) };
    }
    case "resize": {
      const { from, to, C } = problem;
      const [x, y] = [t.of(problem.x, 1, from, from, C), t.empty(1, to, to, C)];
      return { y, run: () => resample(device, { x, y, mode: "linear" }) };
    }
  }
}

/** This project's kernels. */
export class Bitwise implements Peer {
  readonly name = "bitwise";

  private constructor(readonly device: Device) {}

  static async open(): Promise<Bitwise> {
    return new Bitwise(await Device.open());
  }

  prepare(problem: Problem): Promise<Prepared> {
    const { device } = this;
    if (isStep(problem)) return Promise.resolve(prepareStep(device, problem));
    const tensors = new Tensors(device);
    const { y, run } = work(device, tensors, problem);
    return Promise.resolve({
      step: 1,
      async run(times) {
        for (let i = 0; i < times; i++) run();
        await device.finish();
      },
      output: async () => await device.read(y) as Float32Array,
      dispose: () => tensors.dispose(),
    });
  }
}
