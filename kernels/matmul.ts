import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  type Tensor,
  Texture,
} from "../engine/mod.ts";
import source from "./matmul.wgsl" with { type: "text" };
import packSource from "./pack_weight.wgsl" with { type: "text" };
import textureSource from "./matmul_texture.wgsl" with { type: "text" };

const BINDINGS = ["x", "w", "bias", "gate", "y"] as const;
const PARAMS = ["M", "K", "N", "rows_per_gate", "gate_stride", "gate_offset"] as const;
const kernel = defineKernel("matmul", source, BINDINGS, PARAMS);
const textureKernel = defineKernel("matmul_texture", textureSource, BINDINGS, PARAMS);
const packKernel = defineKernel("pack_weight", packSource, ["w", "packed"], [
  "K",
  "N",
  "columns",
  "first",
]);

/** Rows of y that one invocation makes. */
const ROWS = 8;

/** A linear layer's weight and bias, packed once for {@link matmul}. */
export interface Linear {
  /** [⌈K/4⌉·4, ⌈N/4⌉·4], f32 or f16; zeros where K and N were padded. A texture on software adapters. */
  readonly weight: Tensor | Texture;
  /** Storage type of the weight. */
  readonly dtype: "f32" | "f16";
  /** [⌈N/4⌉·4] f32, or none. */
  readonly bias: Tensor | null;
  /** Input width. */
  readonly K: number;
  /** Output width. */
  readonly N: number;
}

/** Whether weights go to textures and a workgroup is one subgroup; see matmul_texture.wgsl. */
export function usesTexture({ capabilities }: Device): boolean {
  return capabilities.class === "cpu" && capabilities.subgroups && capabilities.subgroupSize > 0;
}

/**
 * Packs weights [Nᵢ, K] f32, stacked along N, into the layout {@link matmul} reads, as `dtype`.
 * All but the last Nᵢ must be divisible by 4. The inputs may be disposed afterwards. `texture` chooses the variant;
 * by default what is fast on this adapter.
 */
export function packLinear(
  device: Device,
  weights: readonly Tensor[],
  bias: Tensor | null,
  dtype: "f32" | "f16" = "f32",
  label: string = "linear weight",
  texture: boolean = usesTexture(device),
): Linear {
  const K = weights[0]!.shape[1]!;
  const N = weights.reduce((sum, w) => sum + w.shape[0]!, 0);
  const columns = Math.ceil(N / 4);
  const pitch = texture ? Math.ceil(columns / 32) * 32 : columns; // textures are copied by rows of 256 bytes
  const packed = device.tensor(dtype, [Math.ceil(K / 4) * 4, pitch * 4], label);
  let first = 0;
  for (const w of weights) {
    const n = w.shape[0]!;
    if (w.shape[1] !== K || first % 4 !== 0) {
      throw new KernelError("bad-shape", `Cannot stack [${w.shape}] into a weight of width ${K}`);
    }
    device.run(packKernel, {
      specialise: { W: dtype, WG: 64 },
      bind: { w, packed },
      params: { K, N: n, columns: pitch, first },
      workgroups: grid(Math.ceil(Math.ceil(K / 4) * 4 * Math.ceil(n / 4) / 64)),
    });
    first += n;
  }
  const weight = texture ? device.texture(packed, columns) : packed;
  if (texture) packed.dispose();
  return { weight, dtype, bias, K, N };
}

/** What happens to a sum before it is stored; `add` and `gate` accumulate into y, which must be f32. */
export type Epilogue = "none" | "gelu" | "silu" | "add" | "gate";

const EPILOGUES: Record<Epilogue, string> = {
  none: "return v;",
  gelu:
    "return 0.5 * v * (1 + tanh(clamp(0.7978845608028654 * (v + 0.044715 * v * v * v), vec4(-20.0), vec4(20.0))));",
  silu: "return v / (1 + exp(-v));",
  add: "return v + load_y(m, n);",
  gate:
    "return fma(gate[params.gate_offset + m / params.rows_per_gate * params.gate_stride + n], v, load_y(m, n));",
};

/** Arguments of {@link matmul}. */
export interface MatmulArgs {
  /** [M, K] f32 or f16 (leading axes may be many). */
  readonly x: Tensor;
  /** Packed weight and bias. */
  readonly linear: Linear;
  /** [M, N] f32 or f16. */
  readonly y: Tensor;
  /** `none` if absent. */
  readonly epilogue?: Epilogue;
  /** For `gate`: y += gate[m / rows] · value; f32, each row N wide, `stride` elements apart from `offset` on. */
  readonly gate?: { tensor: Tensor; offset: number; stride: number; rows: number };
}

/**
 * y = epilogue(x · Wᵀ + b): every linear layer (`torch.nn.Linear`), f32 accumulation.
 *
 * @throws {KernelError} if shapes disagree.
 */
export function matmul(device: Device, args: MatmulArgs): void {
  const { x, linear, y, epilogue = "none", gate } = args;
  const { K, N } = linear;
  const M = x.elements / K;
  if (M !== Math.floor(M) || y.elements !== M * N) {
    throw new KernelError(
      "bad-shape",
      `Cannot multiply [${x.shape}] by [${K}, ${N}] into [${y.shape}]`,
    );
  }
  if (gate && (N % 4 || gate.offset % 4 || gate.stride % 4)) {
    throw new KernelError("bad-shape", `Cannot gate rows of ${N}: not divisible by 4`);
  }
  const wholeK = K % 4 === 0;
  const wholeN = N % 4 === 0;
  const texture = linear.weight instanceof Texture;
  const lanes = texture ? device.capabilities.subgroupSize : 64;
  const functions = [
    wholeK ? LOAD_X.vec4 : LOAD_X.scalar,
    wholeN ? ACCESS_Y.vec4 : ACCESS_Y.scalar,
    `fn epilogue(m: u32, n: u32, sum: vec4<f32>) -> vec4<f32> { let v = sum${
      linear.bias ? " + bias[n]" : ""
    }; ${EPILOGUES[epilogue]} }`,
  ];
  if (texture) functions.push(multiplyLines(lanes));
  device.run(texture ? textureKernel : kernel, {
    specialise: {
      X: wholeK ? `vec4<${x.dtype}>` : x.dtype,
      Y: wholeN ? `vec4<${y.dtype}>` : y.dtype,
      ...(texture ? { LANES: lanes } : { W: linear.dtype, WG: lanes }),
    },
    functions: functions.join("\n"),
    bind: { x, w: linear.weight, bias: linear.bias, gate: gate?.tensor ?? null, y },
    params: {
      M,
      K,
      N,
      rows_per_gate: gate?.rows ?? 1,
      gate_stride: (gate?.stride ?? 0) / 4,
      gate_offset: (gate?.offset ?? 0) / 4,
    },
    workgroups: [Math.ceil(Math.ceil(N / 4) / lanes), Math.ceil(M / ROWS)],
  });
}

const LOAD_X = {
  vec4: "fn load_x(m: u32, k: u32) -> vec4<f32> { return vec4<f32>(x[m * (params.K / 4) + k]); }",
  scalar: `fn at_x(m: u32, k: u32) -> f32 {
  return select(0.0, f32(x[m * params.K + min(k, params.K - 1)]), k < params.K);
}
fn load_x(m: u32, k: u32) -> vec4<f32> {
  return vec4(at_x(m, 4 * k), at_x(m, 4 * k + 1), at_x(m, 4 * k + 2), at_x(m, 4 * k + 3));
}`,
} as const;

const ACCESS_Y = {
  vec4: `fn load_y(m: u32, n: u32) -> vec4<f32> { return vec4<f32>(y[m * (params.N / 4) + n]); }
fn store_y(m: u32, n: u32, v: vec4<f32>) { y[m * (params.N / 4) + n] = Y(v); }`,
  scalar: `fn at_y(m: u32, n: u32) -> f32 { return f32(y[m * params.N + min(n, params.N - 1)]); }
fn load_y(m: u32, n: u32) -> vec4<f32> {
  return vec4(at_y(m, 4 * n), at_y(m, 4 * n + 1), at_y(m, 4 * n + 2), at_y(m, 4 * n + 3));
}
fn store_y(m: u32, n: u32, v: vec4<f32>) {
  for (var i = 0u; i < 4 && 4 * n + i < params.N; i++) { y[m * params.N + 4 * n + i] = Y(v[i]); }
}`,
} as const;

/** matmul_texture.wgsl's inner product, unrolled: shuffles want constant lanes, and Naga's loops cost checks. */
export function multiplyLines(lanes: number): string {
  const lines = ["fn multiply(sum: Rows, a: Rows, at: vec2<u32>) -> Rows {", "  var s = sum;"];
  for (let lane = 0; lane < lanes; lane++) {
    for (let i = 0; i < 4; i++) {
      lines.push(`  let w${lane}_${i} = textureLoad(w, at + vec2(0u, ${4 * lane + i}u), 0);`);
    }
    const w = [0, 1, 2, 3].map((i) => `w${lane}_${i}`).join();
    for (let r = 0; r < ROWS; r++) {
      lines.push(`  s.r${r} = madd(s.r${r}, subgroupShuffle(a.r${r}, ${lane}u), ${w});`);
    }
  }
  return [...lines, "  return s;", "}"].join("\n");
}
