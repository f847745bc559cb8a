import type { Device, Tensor, TensorDType } from "../../engine/mod.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { conv2d } from "../../kernels/conv/conv2d.ts";
import { packConv } from "../../kernels/conv/conv2d_weight.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import { activate } from "../../kernels/elementwise/activate.ts";
import { packLinear } from "../../kernels/linear/linear.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import { groupNorm } from "../../kernels/norm/group_norm.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";

/** Work of the 2B at 1024 × 1024 with guidance. */
export interface Work {
  /** Runs it for the `i`-th time. */
  readonly run: (i: number) => void;
  readonly flops: number;
  /** Bytes that must be read or written at least once. */
  readonly bytes: number;
}

/** One row: `name` is also its name in the times of other programs (docs/performance.md). */
export interface Row {
  readonly group: "products" | "attention" | "convolutions" | "norms";
  readonly name: string;
  /** Storage of weights, or of keys and values. */
  readonly type: WeightType;
  /** Operations, to know beforehand how long it takes. */
  readonly flops: number;
  readonly setup: (device: Device, t: Operands) => Work;
}

/** Bytes of weights that are used in turn, so that no cache keeps them between runs: in a model none does. */
const COLD = 96e6;

const TOKENS = [1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64].map((side) => side * side);
const [WIDTH, HEADS, HEAD_DIM, TEXT] = [2048, 16, 128, 64];
/** An image with guidance. */
const SEQUENCES = 2;

/** Makes operands of ordinary numbers, which take the power of real work, and disposes them. */
export class Operands extends DisposableStack {
  constructor(private readonly device: Device) {
    super();
  }

  /** Uninitialised. */
  empty(dtype: TensorDType, ...shape: number[]): Tensor {
    return this.use(this.device.tensor(dtype, shape));
  }

  /** Normal numbers in f32. */
  f32(...shape: number[]): Tensor {
    const y = this.empty("f32", ...shape);
    randomNormal(this.device, { y, key: shape.reduce((a, b) => 31 * a + b, 7) });
    return y;
  }

  /** Normal numbers in f32 or f16: of few bits, which is enough for activations. */
  values(dtype: "f32" | "f16", ...shape: number[]): Tensor {
    if (dtype === "f32") return this.f32(...shape);
    const tensor = this.empty("f16", ...shape);
    const some = Math.min(tensor.elements, 1 << 18);
    const data = Float16Array.from({ length: some }, (_, i) => Math.sin(i * 1.7));
    for (let at = 0; at < tensor.elements; at += some) {
      this.device.upload(tensor, data.subarray(0, Math.min(some, tensor.elements - at)), 2 * at);
    }
    return tensor;
  }
}

/** Type of activations beside weights of a type: what the model uses on this adapter. */
function activations({ capabilities }: Device, type: WeightType): "f32" | "f16" {
  return type !== "f32" && capabilities.f16 && capabilities.class === "gpu" ? "f16" : "f32";
}

const BYTES: Readonly<Record<WeightType, number>> = {
  f32: 4,
  f16: 2,
  q8_0: 34 / 32,
  q4_0: 18 / 32,
};

function productRow(tokens: number, K: number, N: number, type: WeightType): Row {
  const M = SEQUENCES * tokens;
  const flops = 2 * M * K * N;
  return {
    group: "products",
    name: `product ${M}x${K}x${N}`,
    type,
    flops,
    setup(device, t) {
      const float = activations(device, type);
      const [x, y] = [t.values(float, M, K), t.empty(float, M, N)];
      const weight = BYTES[type] * K * N;
      const sets = Math.min(6, Math.ceil(COLD / weight));
      using source = device.tensor("f32", [N, K]);
      const linears = Array.from({ length: sets }, (_, key) => {
        randomNormal(device, { y: source, key, deviation: 1 / Math.sqrt(K) });
        const linear = packLinear(device, [source], null, type);
        t.defer(() => (linear.weight.dispose(), linear.scales?.dispose()));
        return linear;
      });
      return {
        run: (i) => matmul(device, { x, linear: linears[i % sets]!, y, rows: tokens }),
        flops,
        bytes: weight + x.byteLength + y.byteLength,
      };
    },
  };
}

function attentionRow(queries: number, keys: number, what: string): Row {
  const flops = 4 * SEQUENCES * HEADS * queries * keys * HEAD_DIM;
  return {
    group: "attention",
    name: `${what} ${queries}x${keys}`,
    type: "f16",
    flops,
    setup(device, t) {
      const float = activations(device, "f16");
      const rows = SEQUENCES * queries;
      const [q, y] = [t.values(float, rows, WIDTH), t.empty(float, rows, WIDTH)];
      const cache = device.capabilities.f16 ? "f16" : "f32";
      const [k, v] = [
        t.values(cache, SEQUENCES * keys, WIDTH),
        t.values(cache, SEQUENCES * keys, WIDTH),
      ];
      const spans = t.empty("u32", SEQUENCES, 4);
      const list = Array.from(
        { length: SEQUENCES },
        (_, s) => [s * queries, queries, s * keys, keys],
      );
      device.upload(spans, Uint32Array.from(list.flat()));
      const longest = { maxQueries: queries, maxKeys: keys };
      const args = { q, k, v, y, spans, ...longest, heads: HEADS, headDim: HEAD_DIM };
      const scale = 1 / Math.sqrt(HEAD_DIM);
      const scoreCount = SEQUENCES * queries * keys;
      return {
        run: () => attention(device, { ...args, scale, scoreCount }),
        flops,
        bytes: q.byteLength + k.byteLength + v.byteLength + y.byteLength,
      };
    },
  };
}

/** From C to N channels; `side` is that of the image. */
function convolutionRow(size: 1 | 3, C: number, N: number, side: number): Row {
  const flops = 2 * side * side * size * size * C * N;
  return {
    group: "convolutions",
    name: `convolution ${size}x${size} ${C} to ${N}, ${side}x${side}`,
    type: "f16",
    flops,
    setup(device, t) {
      const type = device.capabilities.f16 ? "f16" : "f32";
      const float = activations(device, type);
      const [x, y] = [t.values(float, 1, side, side, C), t.empty(float, 1, side, side, N)];
      const conv = packConv(device, t.f32(N, C, size, size), t.f32(N), type);
      t.defer(() => conv.weight.dispose());
      const bytes = x.byteLength + y.byteLength + BYTES[type] * size * size * C * N;
      return { run: () => conv2d(device, { x, conv, y }), flops, bytes };
    },
  };
}

function normRow(name: string, setup: (device: Device, t: Operands) => Omit<Work, "flops">): Row {
  return {
    group: "norms",
    name,
    type: "f16",
    flops: 0,
    setup: (device, t) => ({ ...setup(device, t), flops: 0 }),
  };
}

/** AdaLN of the residual stream, which is f32, into the input of a product. */
const ADA_LN = normRow(`layer norm and AdaLN ${SEQUENCES * 4096}x${WIDTH}`, (device, t) => {
  const M = SEQUENCES * 4096;
  const [x, y] = [t.f32(M, WIDTH), t.empty(activations(device, "f16"), M, WIDTH)];
  const tensor = t.f32(SEQUENCES, 6 * WIDTH);
  const modulation = {
    tensor,
    scaleOffset: 0,
    shiftOffset: WIDTH,
    stride: 6 * WIDTH,
    rows: M / SEQUENCES,
  };
  return {
    run: () => layerNorm(device, { x, y, eps: 1e-6, modulation }),
    bytes: x.byteLength + y.byteLength,
  };
});

function groupNormRow(side: number, C: number): Row {
  return normRow(`group norm and SiLU ${side}x${side}x${C}`, (device, t) => {
    const float = activations(device, "f16");
    const [x, y] = [t.values(float, 1, side, side, C), t.empty(float, 1, side, side, C)];
    const [weight, bias] = [t.f32(C), t.f32(C)];
    const args = { x, y, weight, bias, groups: 32, eps: 1e-6, activation: "silu" } as const;
    // x is read twice: for the statistics, then to normalise
    return { run: () => groupNorm(device, args), bytes: 2 * x.byteLength + y.byteLength };
  });
}

const SILU = normRow("SiLU 8192x8192", (device, t) => {
  const float = activations(device, "f16");
  const [x, y] = [t.values(float, 8192, 8192), t.empty(float, 8192, 8192)];
  return {
    run: () => activate(device, { x, y, kind: "silu" }),
    bytes: x.byteLength + y.byteLength,
  };
});

const PRODUCTS = [[2048, 6144], [2048, 2048], [2048, 8192], [8192, 2048]] as const;

function products(type: WeightType): Row[] {
  return [
    ...PRODUCTS.flatMap(([K, N]) => TOKENS.map((tokens) => productRow(tokens, K, N, type))),
    productRow(TEXT, WIDTH, 2 * WIDTH, type), // keys and values of the text
  ];
}

/** The shapes of an image of the 2B at 1024 × 1024, its text of 64 tokens, and its decoder; the rarest last. */
export const ROWS: readonly Row[] = [
  ...products("f16"),
  ...TOKENS.map((tokens, i) =>
    attentionRow(tokens, TOKENS.slice(0, i + 1).reduce((a, b) => a + b), "attention")
  ),
  ...TOKENS.map((tokens) => attentionRow(tokens, TEXT, "cross-attention")),
  ...([
    [3, 32, 512, 64],
    [3, 512, 512, 64],
    [3, 512, 512, 128],
    [3, 512, 512, 256],
    [3, 512, 512, 512],
    [3, 512, 256, 512],
    [1, 512, 256, 512],
    [3, 256, 256, 512],
    [3, 256, 256, 1024],
    [3, 256, 128, 1024],
    [1, 256, 128, 1024],
    [3, 128, 128, 1024],
    [3, 128, 3, 1024],
  ] as const).map(([size, C, N, side]) => convolutionRow(size, C, N, side)),
  ADA_LN,
  groupNormRow(128, 512),
  groupNormRow(512, 256),
  groupNormRow(1024, 128),
  SILU,
  ...products("q8_0"),
];
