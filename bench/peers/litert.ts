import { createRequire } from "node:module";
import { dirname, fromFileUrl } from "@std/path";
import { EPS, type Problem, transpose } from "./cases.ts";
import { load, type Peer, type Prepared, Unsupported } from "./engine.ts";
import { encodeTflite, type Step, type TfliteGraph } from "./tflite.ts";

/** The part of LiteRT.js that is used here. */
interface LiteRt {
  loadLiteRt(path: string): Promise<unknown>;
  loadAndCompile(
    model: Uint8Array,
    options: { accelerator: "webgpu"; gpuOptions: { precision: "fp32" } },
  ): Promise<Model>;
  getWebGpuDevice(): GPUDevice;
  readonly Tensor: new (data: Float32Array, shape: readonly number[]) => LiteRtTensor;
}
interface Model {
  readonly isFullyAccelerated: boolean;
  run(inputs: LiteRtTensor[]): Promise<LiteRtTensor[]>;
  delete(): void;
}
interface LiteRtTensor {
  moveTo(where: "webgpu"): Promise<LiteRtTensor>;
  data(): Promise<Float32Array>;
  delete(): void;
}

type Tensors = TfliteGraph["tensors"];

/** Work as a graph. `inputs` gives the tensors that are fed and their numbers; `y` is the result. */
interface Operation {
  readonly tensors: Tensors;
  readonly inputs: readonly string[];
  readonly steps: readonly Step[];
  /** Converts the result to the problem's layout, if it differs. */
  readonly layout?: (y: Float32Array) => Float32Array;
}

function step(op: Step["op"], output: string, ...inputs: string[]): Step {
  return { op, inputs, output };
}

/** x to `normal` over the axes in `axis`. */
const STANDARDISE = [
  step("mean", "mean", "x", "axis"),
  step("sub", "centred", "x", "mean"),
  step("mul", "squares", "centred", "centred"),
  step("mean", "variance", "squares", "axis"),
  step("add", "raised", "variance", "eps"),
  step("rsqrt", "inverse", "raised"),
  step("mul", "normal", "centred", "inverse"),
];

/** `normal` to y. */
const AFFINE = [step("mul", "weighted", "normal", "w"), step("add", "y", "weighted", "b")];

/** The tensors of {@link STANDARDISE}. */
function standardised(shape: readonly number[], ...axes: number[]): Tensors {
  const [whole, one] = [{ shape }, { shape: shape.map((n, i) => axes.includes(i) ? 1 : n) }];
  return {
    axis: { shape: [axes.length], data: Int32Array.from(axes) },
    eps: { shape: shape.map(() => 1), data: Float32Array.of(EPS) },
    mean: one,
    centred: whole,
    squares: whole,
    variance: one,
    raised: one,
    inverse: one,
    normal: whole,
  };
}

function operation(problem: Problem): Operation {
  switch (problem.op) {
    case "mlp_step":
    case "attention_step":
      throw new Unsupported("does not train");
    case "matmul": {
      const { M, K, N, x, w } = problem;
      return {
        tensors: {
          x: { shape: [M, K], data: x },
          w: { shape: [N, K], data: transpose(w, [K, N], [1, 0]) },
          b: { shape: [N], data: new Float32Array(N) },
          y: { shape: [M, N] },
        },
        inputs: ["x"],
        steps: [step("fullyConnected", "y", "x", "w", "b")],
      };
    }
    case "attention": {
      const { heads, queries, keys, headDim, q, k, v } = problem;
      const byHead = (data: Float32Array, rows: number) => ({
        shape: [1, heads, rows, headDim],
        data: transpose(data, [rows, heads, headDim], [1, 0, 2]),
      });
      return {
        tensors: {
          q: byHead(q, queries),
          k: byHead(k, keys),
          v: byHead(v, keys),
          scale: { shape: [1, 1, 1, 1], data: Float32Array.of(1 / Math.sqrt(headDim)) },
          scaled: { shape: [1, heads, queries, headDim] },
          logits: { shape: [1, heads, queries, keys] },
          weights: { shape: [1, heads, queries, keys] },
          y: { shape: [1, heads, queries, headDim] },
        },
        inputs: ["q", "k", "v"],
        steps: [
          step("mul", "scaled", "q", "scale"),
          step("batchMatmulTransposed", "logits", "scaled", "k"),
          step("softmax", "weights", "logits"),
          step("batchMatmul", "y", "weights", "v"),
        ],
        layout: (y) => transpose(y, [heads, queries, headDim], [1, 0, 2]),
      };
    }
    case "conv2d": {
      const { size, C, N, x, w, bias } = problem;
      return {
        tensors: {
          x: { shape: [1, size, size, C], data: x },
          w: { shape: [N, 3, 3, C], data: transpose(w, [3, 3, C, N], [3, 0, 1, 2]) },
          b: { shape: [N], data: bias },
          y: { shape: [1, size, size, N] },
        },
        inputs: ["x"],
        steps: [step("conv2d", "y", "x", "w", "b")],
      };
    }
    case "layer_norm": {
      const { M, C, x, weight, bias } = problem;
      const shape = [M, C];
      return {
        tensors: {
          x: { shape, data: x },
          w: { shape: [1, C], data: weight },
          b: { shape: [1, C], data: bias },
          ...standardised(shape, 1),
          weighted: { shape },
          y: { shape },
        },
        inputs: ["x"],
        steps: [...STANDARDISE, ...AFFINE],
      };
    }
    case "group_norm": {
      // a group is an image, which it can normalise as a whole; as rows they are too long
      const { size, C, groups, x, weight, bias } = problem;
      const [area, own] = [size * size, C / groups];
      const shape = [groups, size, size, own];
      return {
        tensors: {
          x: { shape, data: transpose(x, [area, groups, own], [1, 0, 2]) },
          w: { shape: [groups, 1, 1, own], data: weight },
          b: { shape: [groups, 1, 1, own], data: bias },
          ...standardised(shape, 1, 2, 3),
          weighted: { shape },
          y: { shape },
        },
        inputs: ["x"],
        steps: [...STANDARDISE, ...AFFINE],
        layout: (y) => transpose(y, [groups, area, own], [1, 0, 2]),
      };
    }
    case "gated_gelu": {
      const { M, C, x, gate } = problem;
      const shape = [M, C];
      return {
        tensors: {
          x: { shape, data: x },
          gate: { shape, data: gate },
          bent: { shape },
          y: { shape },
        },
        inputs: ["x", "gate"],
        steps: [step("gelu", "bent", "x"), step("mul", "y", "bent", "gate")],
      };
    }
    case "silu": {
      const shape = [problem.M, problem.C];
      return {
        tensors: { x: { shape, data: problem.x }, sigmoid: { shape }, y: { shape } },
        inputs: ["x"],
        steps: [step("logistic", "sigmoid", "x"), step("mul", "y", "x", "sigmoid")],
      };
    }
    case "resize": {
      const { from, to, C, x } = problem;
      return {
        tensors: {
          x: { shape: [1, from, from, C], data: x },
          size: { shape: [2], data: Int32Array.of(to, to) },
          y: { shape: [1, to, to, C] },
        },
        inputs: ["x"],
        steps: [step("resizeBilinear", "y", "x", "size")],
      };
    }
  }
}

/** LiteRT.js (TensorFlow Lite's successor): WebAssembly compiles graphs for WebGPU. */
export class LiteRtJs implements Peer {
  readonly name = "litert";

  private constructor(private readonly lite: LiteRt) {}

  static async open(): Promise<LiteRtJs> {
    const lite = await load<LiteRt>("@litertjs/core");
    const script = new URL(
      "../wasm/litert_wasm_internal.js",
      import.meta.resolve("@litertjs/core"),
    );
    const importScripts = () => Object.assign(globalThis, { ModuleFactory: commonJs(script) });
    Object.assign(globalThis, { importScripts });
    await quietly(() => lite.loadLiteRt(script.href));
    return new LiteRtJs(lite);
  }

  async prepare(problem: Problem): Promise<Prepared> {
    const { lite } = this;
    const { tensors, inputs, steps, layout } = operation(problem);
    const constants = Object.fromEntries(
      Object.entries(tensors).map((
        [name, { shape, data }],
      ) => [name, inputs.includes(name) ? { shape } : { shape, data }]),
    );
    const bytes = await encodeTflite({ tensors: constants, steps, inputs, outputs: ["y"] });
    const options = { accelerator: "webgpu", gpuOptions: { precision: "fp32" } } as const;
    const model = await quietly(() => lite.loadAndCompile(bytes, options));
    if (!model.isFullyAccelerated) throw new Error("it leaves a part of this to the CPU");
    const feeds = await Promise.all(inputs.map((name) => {
      const { shape, data } = tensors[name]!;
      return new lite.Tensor(data as Float32Array, shape).moveTo("webgpu");
    }));
    let last: LiteRtTensor | undefined;
    return {
      step: 1,
      async run(times) {
        for (let i = 0; i < times; i++) {
          last?.delete();
          [last] = await model.run(feeds);
        }
        await lite.getWebGpuDevice().queue.onSubmittedWorkDone();
      },
      async output() {
        const y = await last!.data();
        return layout?.(y) ?? y;
      },
      dispose() {
        for (const tensor of [...feeds, last]) tensor?.delete();
        model.delete();
      },
    };
  }
}

/**
 * Loads a CommonJS script and returns its exports: its package declares it a module, and only pages and workers load
 * it.
 */
function commonJs(script: URL): unknown {
  const module = { exports: {} };
  const path = fromFileUrl(script);
  new Function(
    "module",
    "exports",
    "require",
    "__filename",
    "__dirname",
    Deno.readTextFileSync(path),
  )(
    module,
    module.exports,
    createRequire(script),
    path,
    dirname(path),
  );
  return module.exports;
}

/** Hides the log of LiteRT.js, which cannot be turned off. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { log, info, warn, error } = console;
  const mute = () => {};
  Object.assign(console, { log: mute, info: mute, warn: mute, error: mute });
  try {
    return await work();
  } finally {
    Object.assign(console, { log, info, warn, error });
  }
}
