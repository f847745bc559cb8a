import { EPS, isStep, type Operation as Work, type Problem, transpose } from "./cases.ts";
import { load, type Peer, type Prepared } from "./engine.ts";
import type { Tf, TfTensor } from "./tfjs_api.ts";
import { prepareStep } from "./tfjs_steps.ts";

type Data = Float32Array<ArrayBuffer>;

/** A function of tensors, and its arguments. */
interface Operation {
  readonly f: (...args: TfTensor[]) => TfTensor;
  readonly args: readonly (readonly [data: Data, ...shape: number[]])[];
  /** Converts the result to the problem's layout, if it differs. */
  readonly layout?: (y: Float32Array) => Float32Array;
}

function operation(tf: Tf, problem: Work): Operation {
  const standardise = (x: TfTensor, axis: number) => {
    const centred = tf.sub(x, tf.mean(x, axis, true));
    return tf.mul(
      centred,
      tf.rsqrt(tf.add(tf.mean(tf.square(centred), axis, true), EPS)),
    );
  };
  switch (problem.op) {
    case "matmul": {
      const { M, K, N, x, w } = problem;
      return { f: (x, w) => tf.matMul(x!, w!), args: [[x, M, K], [w, K, N]] };
    }
    case "attention": {
      const { heads, queries, keys, headDim, q, k, v } = problem;
      const byHead = (data: Data, rows: number) =>
        [
          transpose(data, [rows, heads, headDim], [1, 0, 2]),
          heads,
          rows,
          headDim,
        ] as const;
      return {
        f(q, k, v) {
          const logits = tf.matMul(
            tf.mul(q!, 1 / Math.sqrt(headDim)),
            k!,
            false,
            true,
          );
          return tf.matMul(tf.softmax(logits), v!);
        },
        args: [byHead(q, queries), byHead(k, keys), byHead(v, keys)],
        layout: (y) => transpose(y, [heads, queries, headDim], [1, 0, 2]),
      };
    }
    case "conv2d": {
      const { size, C, N, x, w, bias } = problem;
      return {
        f: (x, filter, bias) =>
          tf.fused.conv2d({
            x: x!,
            filter: filter!,
            bias: bias!,
            strides: 1,
            pad: "same",
          }),
        args: [[x, 1, size, size, C], [w, 3, 3, C, N], [bias, N]],
      };
    }
    case "layer_norm": {
      const { M, C, x, weight, bias } = problem;
      return {
        f: (x, w, b) => tf.add(tf.mul(standardise(x!, 1), w!), b!),
        args: [[x, M, C], [weight, C], [bias, C]],
      };
    }
    case "group_norm": {
      const { size, C, groups, x, weight, bias } = problem;
      const area = size * size;
      return {
        f: (x, w, b) => tf.add(tf.mul(tf.reshape(standardise(x!, 1), [C, area]), w!), b!),
        args: [
          [transpose(x, [area, C], [1, 0]), groups, C / groups * area],
          [weight, C, 1],
          [bias, C, 1],
        ],
        layout: (y) => transpose(y, [C, area], [1, 0]),
      };
    }
    case "gated_gelu": {
      const { M, C, x, gate } = problem;
      return {
        f(x, gate) {
          const inner = tf.mul(x!, tf.add(tf.mul(tf.square(x!), 0.044715), 1));
          const bent = tf.add(
            tf.tanh(tf.mul(inner, Math.sqrt(2 / Math.PI))),
            1,
          );
          return tf.mul(tf.mul(tf.mul(x!, 0.5), bent), gate!);
        },
        args: [[x, M, C], [gate, M, C]],
      };
    }
    case "silu":
      return {
        f: (x) => tf.mul(x!, tf.sigmoid(x!)),
        args: [[problem.x, problem.M, problem.C]],
      };
    case "resize": {
      const { from, to, C, x } = problem;
      return {
        f: (x) => tf.image.resizeBilinear(x!, [to, to], false, true),
        args: [[x, 1, from, from, C]],
      };
    }
  }
}

/** TensorFlow.js, which runs operation by operation. */
export class Tfjs implements Peer {
  readonly name = "tfjs-backend-webgpu";

  private constructor(private readonly tf: Tf) {}

  static async open(): Promise<Tfjs> {
    const tf = await load<Tf>("@tensorflow/tfjs-core");
    await load("@tensorflow/tfjs-backend-webgpu");
    await load("@tensorflow/tfjs"); // registers gradients
    if (!await tf.setBackend("webgpu")) {
      throw new Error("the backend does not start");
    }
    return new Tfjs(tf);
  }

  prepare(problem: Problem): Promise<Prepared> {
    const { tf } = this;
    if (isStep(problem)) return Promise.resolve(prepareStep(tf, problem));
    const { f, args, layout } = operation(tf, problem);
    const tensors = args.map(([data, ...shape]) => tf.tensor(data, shape));
    let last: TfTensor | undefined;
    return Promise.resolve({
      step: 1,
      async run(times) {
        for (let i = 0; i < times; i++) {
          last?.dispose();
          last = tf.tidy(() => f(...tensors));
        }
        // the backend holds some dispatches back until a result is read: one element is enough
        const { shape } = last!;
        const one = tf.slice(last!, shape.map(() => 0), shape.map(() => 1));
        await one.data();
        one.dispose();
      },
      async output() {
        const y = await last!.data();
        return layout?.(y) ?? y;
      },
      dispose() {
        for (const tensor of [...tensors, last]) tensor?.dispose();
      },
    });
  }
}
