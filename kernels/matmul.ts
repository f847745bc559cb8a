import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
  Texture,
} from "../engine/mod.ts";
import { accessY, readX } from "./access.ts";
import lanesSource from "./lanes.wgsl" with { type: "text" };
import { BLOCK, isQuantised, type Linear, type WeightType } from "./linear.ts";
import source from "./matmul.wgsl" with { type: "text" };
import textureSource from "./matmul_texture.wgsl" with { type: "text" };

const BINDINGS = ["x", "w", "scales", "bias", "gate", "y"] as const;
const PARAMS = ["M", "K", "N", "rows_per_gate", "gate_stride", "gate_offset"] as const;
const kernel = defineKernel("matmul", source, BINDINGS, PARAMS);
const textureKernel = defineKernel("matmul_texture", textureSource, BINDINGS, PARAMS);

/** Rows of y that one invocation makes. */
const ROWS = 8;

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
  const read = readX(x.dtype, K, "K");
  const access = accessY(y.dtype, N % 4 === 0);
  const texture = linear.weight instanceof Texture;
  const lanes = texture ? device.capabilities.subgroupSize : 64;
  const columns = Math.ceil(Math.ceil(N / 4) / lanes);
  device.run(texture ? textureKernel : kernel, {
    specialise: {
      X: read.type,
      Y: access.type,
      ...(texture ? { LANES: lanes } : { W: ELEMENT[linear.dtype], WG: lanes }),
    },
    functions: prelude(
      read.lines,
      access.lines,
      linear.bias !== null,
      epilogue,
      linear.dtype,
      texture ? lanes : 0,
    ),
    bind: {
      x,
      w: linear.weight,
      scales: linear.scales,
      bias: linear.bias,
      gate: gate?.tensor ?? null,
      y,
    },
    params: {
      M,
      K,
      N,
      rows_per_gate: gate?.rows ?? 1,
      gate_stride: (gate?.stride ?? 0) / 4,
      gate_offset: (gate?.offset ?? 0) / 4,
    },
    workgroups: texture
      ? [...grid(Math.ceil(M / ROWS)), columns]
      : [columns, ...grid(Math.ceil(M / ROWS))],
  });
}

/** All prelude lines; `lanes` is 0 for matmul.wgsl. */
const prelude = memoised((
  read: string,
  access: string,
  bias: boolean,
  epilogue: Epilogue,
  dtype: WeightType,
  lanes: number,
): string =>
  [
    read,
    access,
    `fn epilogue(m: u32, n: u32, sum: vec4<f32>) -> vec4<f32> { let v = sum${
      bias ? " + bias[n]" : ""
    }; ${EPILOGUES[epilogue]} }`,
    lanes ? multiplyLines(lanes, dtype) : LOAD_W[dtype],
    isQuantised(dtype) ? LOAD_SCALE : "",
  ].join("\n")
);

/** What one element of a bound weight is. */
const ELEMENT = { f32: "vec4<f32>", f16: "vec4<f16>", q8_0: "u32", q4_0: "u32" } as const;

const LOAD_FLOATS = `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let at = 4 * k * columns + n;
  return mat4x4(vec4<f32>(w[at]), vec4<f32>(w[at + columns]), vec4<f32>(w[at + 2 * columns]), vec4<f32>(w[at + 3 * columns]));
}`;

/** matmul.wgsl's 4 rows of weights from row 4k on. */
const LOAD_W: Record<WeightType, string> = {
  f32: LOAD_FLOATS,
  f16: LOAD_FLOATS,
  q8_0: `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let s = load_scale(k / 8, n);
  let at = 4 * k * columns + n;
  return mat4x4(s * vec4<f32>(unpack4xI8(w[at])), s * vec4<f32>(unpack4xI8(w[at + columns])),
    s * vec4<f32>(unpack4xI8(w[at + 2 * columns])), s * vec4<f32>(unpack4xI8(w[at + 3 * columns])));
}`,
  q4_0: `fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let s = load_scale(k / 8, n);
  let a = w[2 * k * columns + n];
  let b = w[(2 * k + 1) * columns + n];
  return mat4x4(s * nibbles(a), s * nibbles(a >> 4), s * nibbles(b), s * nibbles(b >> 4));
}
fn nibbles(v: u32) -> vec4<f32> { return vec4<f32>(unpack4xU8(v & 0x0f0f0f0f)) - 8; }`,
};

/** Scales of 4 columns in a block of 32 k. */
const LOAD_SCALE = `fn load_scale(block: u32, n: u32) -> vec4<f32> {
  let halves = scales[block * ((params.N + 3) / 4) + n];
  return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}`;

/**
 * lanes.wgsl, and matmul_texture.wgsl's inner product, unrolled: shuffles want constant lanes, and Naga's loops cost checks.
 * Textures of quantised weights are normalised to [-1, 1] and [0, 1].
 */
export function multiplyLines(lanes: number, dtype: WeightType = "f32"): string {
  const lines = [
    lanesSource,
    "fn multiply(sum: Rows, a: Rows, at: vec2<u32>) -> Rows {",
    "  var s = sum;",
  ];
  const quantised = isQuantised(dtype);
  if (quantised) lines.push("  var scale: vec4<f32>;");
  for (let lane = 0; lane < lanes; lane++) {
    const k = 4 * lane;
    if (quantised && k % BLOCK === 0) {
      const factor = dtype === "q8_0" ? "127 * " : "";
      lines.push(`  scale = ${factor}load_scale((at.y + ${k}) / ${BLOCK}, at.x);`);
    }
    for (let i = 0; i < 4; i++) {
      const texel = `textureLoad(w, vec2(at.x, at.y + ${k + i}), 0)`;
      if (dtype === "q4_0") lines.push(...nibbleLines(lane, i, k));
      else lines.push(`  let w${lane}_${i} = ${dtype === "q8_0" ? "scale * " : ""}${texel};`);
    }
    const w = [0, 1, 2, 3].map((i) => `w${lane}_${i}`).join();
    for (let r = 0; r < ROWS; r++) {
      lines.push(`  s.r${r} = madd(s.r${r}, subgroupShuffle(a.r${r}, ${lane}u), ${w});`);
    }
  }
  return [...lines, "  return s;", "}"].join("\n");
}

/** Two rows of k from one texel of nibbles. */
function nibbleLines(lane: number, i: number, k: number): string[] {
  if (i % 2) return [];
  const name = `${lane}_${i}`;
  return [
    `  let t${name} = round(255 * textureLoad(w, vec2(at.x, (at.y + ${k + i}) / 2), 0));`,
    `  let h${name} = floor(t${name} / 16);`,
    `  let w${name} = scale * (t${name} - 16 * h${name} - 8);`,
    `  let w${lane}_${i + 1} = scale * (h${name} - 8);`,
  ];
}
