import type { AttentionStep, Learnt, MlpStep } from "./steps.ts";

/** y = x · w: x [M, K], w [K, N]. */
interface Matmul {
  readonly op: "matmul";
  readonly M: number;
  readonly K: number;
  readonly N: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly w: Float32Array<ArrayBuffer>;
}

/** y = softmax(q · kᵀ / √headDim) · v, per head: q and y [queries, heads, headDim], k and v [keys, heads, headDim]. */
interface Attention {
  readonly op: "attention";
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly q: Float32Array<ArrayBuffer>;
  readonly k: Float32Array<ArrayBuffer>;
  readonly v: Float32Array<ArrayBuffer>;
}

/** y = conv(x) + bias, zeros around: x [size, size, C], w [3, 3, C, N], bias [N], y [size, size, N]. */
interface Conv2d {
  readonly op: "conv2d";
  readonly size: number;
  readonly C: number;
  readonly N: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly w: Float32Array<ArrayBuffer>;
  readonly bias: Float32Array<ArrayBuffer>;
}

/** y = (x − mean) / √(variance + 1e-6) · weight + bias over C: x [M, C]. */
interface LayerNorm {
  readonly op: "layer_norm";
  readonly M: number;
  readonly C: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly weight: Float32Array<ArrayBuffer>;
  readonly bias: Float32Array<ArrayBuffer>;
}

/** The same over pixels and C / groups neighbouring channels: x [size, size, C]. */
interface GroupNorm {
  readonly op: "group_norm";
  readonly size: number;
  readonly C: number;
  readonly groups: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly weight: Float32Array<ArrayBuffer>;
  readonly bias: Float32Array<ArrayBuffer>;
}

/** y = gelu(x) · gate, GELU in its tanh form: both [M, C]. */
interface GatedGelu {
  readonly op: "gated_gelu";
  readonly M: number;
  readonly C: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly gate: Float32Array<ArrayBuffer>;
}

/** y = x · sigmoid(x): [M, C]. */
interface Silu {
  readonly op: "silu";
  readonly M: number;
  readonly C: number;
  readonly x: Float32Array<ArrayBuffer>;
}

/** Bilinear, pixel centres at halves, no antialiasing: x [from, from, C], y [to, to, C]. */
interface Resize {
  readonly op: "resize";
  readonly from: number;
  readonly to: number;
  readonly C: number;
  readonly x: Float32Array<ArrayBuffer>;
}

/** Work and its numbers. Layouts are row-major; an engine may convert them ahead of time to what it prefers. */
/** One operation. */
export type Operation = Exclude<Problem, MlpStep | AttentionStep>;

/** Whether a problem is a step of training instead of one operation. */
export function isStep(problem: Problem): problem is MlpStep | AttentionStep {
  return problem.op === "mlp_step" || problem.op === "attention_step";
}

export type Problem =
  | Matmul
  | Attention
  | Conv2d
  | LayerNorm
  | GroupNorm
  | GatedGelu
  | Silu
  | Resize
  | MlpStep
  | AttentionStep;

/** A row of the table. Its work is operations if arithmetic bounds it, otherwise the bytes that must move. */
export interface Case {
  readonly name: Problem["op"];
  readonly shape: string;
  readonly bound: "compute" | "memory";
  readonly work: number;
  readonly make: () => Problem;
}

/** Added to variances. */
export const EPS = 1e-6;

/** Makes ordinary numbers: zeros and denormals may be faster or slower. */
function numbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  return new Float32Array(count).map((_, i) => Math.sin(i * 1.7 + seed * i * i % 6.28));
}

function matmul(M: number, K: number, N: number): Case {
  return {
    name: "matmul",
    shape: `${M}x${K}x${N}`,
    bound: "compute",
    work: 2 * M * K * N,
    make: () => ({
      op: "matmul",
      M,
      K,
      N,
      x: numbers(M * K, 0.1),
      w: numbers(K * N, 0.2),
    }),
  };
}

function attention(
  heads: number,
  queries: number,
  keys: number,
  headDim: number,
): Case {
  return {
    name: "attention",
    shape: `${heads} heads, ${queries} q, ${keys} k, hd ${headDim}`,
    bound: "compute",
    work: 4 * heads * queries * keys * headDim,
    make() {
      const [q, k, v] = [queries, keys, keys].map((rows, i) =>
        numbers(rows * heads * headDim, 0.1 * (i + 1))
      ) as [Attention["q"], Attention["k"], Attention["v"]];
      return { op: "attention", heads, queries, keys, headDim, q, k, v };
    },
  };
}

function conv2d(size: number, C: number, N: number): Case {
  return {
    name: "conv2d",
    shape: `3x3 ${C} to ${N}, ${size}x${size}`,
    bound: "compute",
    work: 2 * size * size * 9 * C * N,
    make() {
      const [x, w, bias] = [
        numbers(size * size * C, 0.1),
        numbers(9 * C * N, 0.2),
        numbers(N, 0),
      ];
      return { op: "conv2d", size, C, N, x, w, bias };
    },
  };
}

function learnt(seed: number, ...shape: number[]): Learnt {
  const count = shape.reduce((product, n) => product * n, 1);
  const scale = 1 / Math.sqrt(shape[0]!);
  return { shape, data: numbers(count, seed).map((value) => value * scale) };
}

function bits(count: number): Float32Array<ArrayBuffer> {
  return new Float32Array(count).map((_, i) => i * 7919 % 13 & 1);
}

function mlpStep(M: number, K: number, H: number): Case {
  const N = K;
  return {
    name: "mlp_step",
    shape: `${M}x${K}x${H}x${N}`,
    bound: "compute",
    work: 4 * M * K * H + 6 * M * H * N,
    make: () => ({
      ...{ op: "mlp_step", M, K, H, N, x: numbers(M * K, 0.1), bits: bits(M * N) },
      learnt: [learnt(0.2, K, H), learnt(0.3, H, N)],
    }),
  };
}

function attentionStep(B: number, L: number, C: number, heads: number): Case {
  const M = B * L;
  return {
    name: "attention_step",
    shape: `${B}x ${L} rows, ${C} channels, ${heads} heads`,
    bound: "compute",
    work: 24 * M * C * C + 12 * M * L * C,
    make: () => ({
      ...{ op: "attention_step", M, B, L, C, heads, x: numbers(M * C, 0.1), bits: bits(M * C) },
      learnt: [
        { shape: [C], data: new Float32Array(C).fill(1) },
        { shape: [C], data: new Float32Array(C) },
        learnt(0.2, C, 3 * C),
        learnt(0.3, C, C),
      ],
    }),
  };
}

/** Shapes of Infinity-2B and emoji-nano, and round ones that others publish. */
export const CASES: readonly Case[] = [
  matmul(256, 1024, 4096),
  matmul(1024, 1024, 1024),
  matmul(64, 2048, 8192),
  matmul(256, 256, 1024),
  matmul(1024, 64, 64),
  attention(8, 256, 1024, 64),
  conv2d(64, 64, 64),
  conv2d(32, 128, 128),
  {
    name: "layer_norm",
    shape: "1024x1024",
    bound: "memory",
    work: 2 * 4 * 1024 * 1024,
    make() {
      const [M, C] = [1024, 1024];
      const [x, weight, bias] = [
        numbers(M * C, 0.1),
        numbers(C, 0.2),
        numbers(C, 0.3),
      ];
      return { op: "layer_norm", M, C, x, weight, bias };
    },
  },
  {
    name: "group_norm",
    shape: "64x64x512, 32 groups",
    bound: "memory",
    work: 3 * 4 * 64 * 64 * 512, // x is read twice: for the statistics, then to normalise
    make() {
      const [size, C, groups] = [64, 512, 32];
      const [x, weight, bias] = [
        numbers(size * size * C, 0.1),
        numbers(C, 0.2),
        numbers(C, 0.3),
      ];
      return { op: "group_norm", size, C, groups, x, weight, bias };
    },
  },
  {
    name: "gated_gelu",
    shape: "1024x4096",
    bound: "memory",
    work: 3 * 4 * 1024 * 4096,
    make() {
      const [M, C] = [1024, 4096];
      return {
        op: "gated_gelu",
        M,
        C,
        x: numbers(M * C, 0.1),
        gate: numbers(M * C, 0.2),
      };
    },
  },
  {
    name: "silu",
    shape: "1024x4096",
    bound: "memory",
    work: 2 * 4 * 1024 * 4096,
    make: () => ({
      op: "silu",
      M: 1024,
      C: 4096,
      x: numbers(1024 * 4096, 0.1),
    }),
  },
  {
    name: "resize",
    shape: "bilinear, 64x64x64 to 256x256",
    bound: "memory",
    work: 4 * 64 * (64 * 64 + 256 * 256),
    make: () => ({
      op: "resize",
      from: 64,
      to: 256,
      C: 64,
      x: numbers(64 * 64 * 64, 0.1),
    }),
  },
  mlpStep(480, 256, 1024),
  mlpStep(512, 768, 3072),
  attentionStep(16, 32, 256, 4),
  attentionStep(1, 512, 768, 12),
];

/** Number of elements of the result. */
export function resultLength(problem: Problem): number {
  switch (problem.op) {
    case "matmul":
      return problem.M * problem.N;
    case "attention":
      return problem.q.length;
    case "conv2d":
      return problem.size ** 2 * problem.N;
    case "resize":
      return problem.to ** 2 * problem.C;
    case "mlp_step":
    case "attention_step":
      return problem.learnt.reduce((sum, { data }) => sum + data.length, 1);
    default:
      return problem.x.length;
  }
}

/** Reorders axes: axis i of the result is axis `axes[i]` of `data`. */
export function transpose(
  data: Float32Array,
  shape: readonly number[],
  axes: readonly number[],
): Float32Array<ArrayBuffer> {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const turned = axes.map((axis) => shape[axis]!);
  const result = new Float32Array(data.length);
  const index = turned.map(() => 0);
  for (let to = 0, from = 0; to < result.length; to++) {
    result[to] = data[from]!;
    for (let i = turned.length - 1; i >= 0; i--) {
      from += strides[axes[i]!]!;
      if (++index[i]! < turned[i]!) break;
      from -= turned[i]! * strides[axes[i]!]!;
      index[i] = 0;
    }
  }
  return result;
}
