import {
  EPS,
  isStep,
  type Operation as Work,
  type Problem,
  resultLength,
  transpose,
} from "./cases.ts";
import type { Jax, JaxArray } from "./jax_api.ts";
import { prepareStep } from "./jax_steps.ts";
import { load, type Peer, type Prepared, Unsupported } from "./engine.ts";

type Data = Float32Array<ArrayBuffer>;

/** A function of arrays, and its arguments. */
interface Operation {
  readonly f: (...args: JaxArray[]) => JaxArray;
  readonly args: readonly (readonly [data: Data, ...shape: number[]])[];
  /** Converts the result to the problem's layout, if it differs. */
  readonly layout?: (y: Float32Array) => Float32Array;
}

/** Number of results to keep until the GPU has finished: an array that is disposed earlier is never computed. */
const KEPT = 1 << 30;

function operation({ numpy, lax, nn }: Jax, problem: Work): Operation {
  switch (problem.op) {
    case "matmul": {
      const { M, K, N, x, w } = problem;
      return {
        f: (x, w) => numpy.matmul(x!, w!),
        args: [[x, M, K], [w, K, N]],
      };
    }
    case "attention": {
      const { heads, queries, keys, headDim, q, k, v } = problem;
      return {
        f: (q, k, v) => nn.dotProductAttention(q!, k!, v!), // 1 / √headDim by default
        args: [[q, queries, heads, headDim], [k, keys, heads, headDim], [
          v,
          keys,
          heads,
          headDim,
        ]],
      };
    }
    case "conv2d": {
      const { size, C, N, x, w, bias } = problem;
      return {
        f: (x, w, bias) => lax.conv(x!, w!, [1, 1], "SAME").add(bias!),
        args: [
          [transpose(x, [size * size, C], [1, 0]), 1, C, size, size],
          [transpose(w, [3, 3, C, N], [3, 2, 0, 1]), N, C, 3, 3],
          [bias, N, 1, 1],
        ],
        layout: (y) => transpose(y, [N, size * size], [1, 0]),
      };
    }
    case "layer_norm": {
      const { M, C, x, weight, bias } = problem;
      return {
        f: (x, w, b) => nn.standardize(x!, -1, { epsilon: EPS }).mul(w!).add(b!),
        args: [[x, M, C], [weight, C], [bias, C]],
      };
    }
    case "group_norm": {
      const { size, C, groups, x, weight, bias } = problem;
      const area = size * size;
      return {
        f: (x, w, b) =>
          nn.standardize(x!, 1, { epsilon: EPS }).reshape([C, area]).mul(w!)
            .add(b!),
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
        f: (x, gate) => nn.gelu(x!).mul(gate!),
        args: [[x, M, C], [gate, M, C]],
      };
    }
    case "silu":
      return {
        f: (x) => nn.silu(x!),
        args: [[problem.x, problem.M, problem.C]],
      };
    case "resize":
      throw new Unsupported("has no image resizing");
  }
}

/** jax-js: `jit` traces, fuses and compiles functions. */
export class JaxJs implements Peer {
  readonly name = "jax-js";

  private constructor(private readonly jax: Jax) {}

  static async open(): Promise<JaxJs> {
    const jax = await load<Jax>("@jax-js/jax");
    await jax.init("webgpu");
    jax.defaultDevice("webgpu");
    return new JaxJs(jax);
  }

  prepare(problem: Problem): Promise<Prepared> {
    const { jax } = this;
    if (isStep(problem)) return Promise.resolve(prepareStep(jax, problem));
    const { f, args, layout } = operation(jax, problem);
    const compiled = jax.jit(f);
    const arrays = args.map(([data, ...shape]) => jax.numpy.array(data, { shape }));
    const group = Math.ceil(KEPT / 4 / resultLength(problem));
    let last: JaxArray | undefined;
    return Promise.resolve({
      step: 1,
      async run(times) {
        for (let done = 0; done < times; done += group) {
          const results: JaxArray[] = [];
          for (let i = done; i < Math.min(times, done + group); i++) {
            results.push(compiled(...arrays.map(({ ref }) => ref)));
          }
          await jax.blockUntilReady(results);
          last?.dispose();
          last = results.pop();
          for (const result of results) result.dispose();
        }
      },
      async output() {
        const y = await last!.ref.data();
        return layout?.(y) ?? y;
      },
      dispose() {
        for (const array of arrays) array.dispose();
        last?.dispose();
      },
    });
  }
}
