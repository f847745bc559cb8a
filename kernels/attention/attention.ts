import {
  defineKernel,
  type Device,
  type Dispatch,
  KernelError,
  memoised,
  type Tensor,
  type Texture,
} from "../../engine/mod.ts";
import { attentionLines, attentionMatrices } from "./attention_matrix.ts";
import { piecesOf, unrolled as unrolledSubgroup } from "./attention_subgroup.ts";
import { textureTexels } from "../linear/matmul_texture.ts";
import { variantOf } from "../shared/variants.ts";
import source from "./attention.wgsl" with { type: "text" };
import matrixSource from "./attention_matrix.wgsl" with { type: "text" };
import subgroupSource from "./attention_subgroup.wgsl" with { type: "text" };

const BINDINGS = ["q", "k", "v", "spans", "bias_table", "bias_bucket", "y"] as const;
const PARAMS = [
  "q_stride",
  "q_offset",
  "k_stride",
  "k_offset",
  "v_stride",
  "v_offset",
  "heads",
  "bias_centre",
  "bias_last",
  "scale",
] as const;
const KERNELS = {
  workgroup: defineKernel("attention", source, BINDINGS, PARAMS),
  matrix: defineKernel("attention_matrix", matrixSource, BINDINGS, PARAMS),
  subgroup: defineKernel("attention_subgroup", subgroupSource, BINDINGS, PARAMS),
  // the same text with keys and values in textures
  texture: defineKernel(
    "attention_texture",
    subgroupSource.replace(/var<storage, read> ([kv]): array<KV>/g, "var $1: KV"),
    BINDINGS,
    PARAMS,
  ),
};

/** T5's relative position bias: logit += table[bucketOf[centre + key − query], head]. */
export interface RelativeBias {
  /** [buckets, heads] f32. */
  readonly table: Tensor;
  /** u32, the bucket of each distance; distances beyond its ends take the bucket at the end. */
  readonly bucketOf: Tensor;
  /** Where in `bucketOf` the distance 0 is. */
  readonly centre: number;
}

/** Arguments of {@link attention}. Strides and offsets count elements and are divisible by 4. */
export interface AttentionArgs {
  /** Rows of heads · headDim, f32 or f16. */
  readonly q: Tensor;
  /** Rows of keys, f32 or f16. */
  readonly k: Tensor;
  /** Rows of values, of the dtype of k; may be the same tensor as k and q. */
  readonly v: Tensor;
  /** [rows, heads · headDim] f32 or f16; rows that are in no span are left as they are. */
  readonly y: Tensor;
  /** u32 [n, 4]: first row of q and y, their number, first row of k and v, their number. */
  readonly spans: Tensor;
  /** Most queries in a span. */
  readonly maxQueries: number;
  /** Number of heads. */
  readonly heads: number;
  /** Channels per head: divisible by 4, at most 256. */
  readonly headDim: number;
  /** Multiplies q · k. */
  readonly scale: number;
  /** Between rows of q; heads · headDim if absent. */
  readonly qStride?: number;
  /** Before the first row of q. */
  readonly qOffset?: number;
  /** Between rows of k; heads · headDim if absent. */
  readonly kStride?: number;
  /** Before the first row of k. */
  readonly kOffset?: number;
  /** Between rows of v; heads · headDim if absent. */
  readonly vStride?: number;
  /** Before the first row of v. */
  readonly vOffset?: number;
  /** None if absent. */
  readonly bias?: RelativeBias;
  /** Queries times keys, of all spans; for profiles. */
  readonly pairs?: number;
  /** How lanes hand values round; chosen by the adapter if absent. Tests name it. */
  readonly variant?: AttentionVariant;
}

/**
 * `workgroup`: any adapter. `subgroup`: a workgroup is one subgroup of a fixed size. `texture`: so, and keys and values
 * are first copied to textures, which pays where many queries read them. `matrix`: tensor cores, of which queries, keys,
 * values and weights are f16.
 */
export type AttentionVariant = "workgroup" | "subgroup" | "texture" | "matrix";

/**
 * y = softmax(scale · q · kᵀ + bias) · v, per head and span: every attention of the model.
 *
 * The queries of a span attend to exactly its keys: a batch is spans, variable text lengths are spans, and so is each
 * scale of block-causal teacher forcing. No keys give zeros. Softmax and sums in f32.
 *
 * @throws {KernelError} if shapes disagree, something is not divisible by 4, or there are no matrices for `matrix`.
 */
export function attention(device: Device, args: AttentionArgs): void {
  const { q, k, v, y, spans, heads, headDim, bias } = args;
  const width = heads * headDim;
  const { qStride = width, kStride = width, vStride = width } = args;
  const { qOffset = 0, kOffset = 0, vOffset = 0 } = args;
  const steps = [headDim, qStride, kStride, vStride, qOffset, kOffset, vOffset];
  if (headDim > 256 || steps.some((n) => n % 4)) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend: head_dim ${headDim} must be ≤ 256, and it, strides and offsets ${
        steps.slice(1)
      } divisible by 4`,
    );
  }
  if (k.dtype !== v.dtype || spans.dtype !== "u32" || spans.shape[1] !== 4 || y.elements % width) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend with k ${k.dtype}, v ${v.dtype}, spans ${spans.dtype} [${spans.shape}], y [${y.shape}]`,
    );
  }
  if (bias && bias.table.shape[1] !== heads) {
    throw new KernelError("bad-shape", `Cannot bias ${heads} heads by [${bias.table.shape}]`);
  }
  const variant = args.variant ?? chooseVariant(device, args);
  const vectors = headDim / 4;
  const common = {
    q,
    spans,
    bias_table: bias?.table ?? null,
    bias_bucket: bias?.bucketOf ?? null,
    y,
  };
  const specialise = {
    Q: `vec4<${q.dtype}>`,
    Y: `vec4<${y.dtype}>`,
    VECTORS: vectors,
    BIAS: bias !== undefined,
  };
  const params = {
    q_stride: qStride / 4,
    q_offset: qOffset / 4,
    k_stride: kStride / 4,
    k_offset: kOffset / 4,
    v_stride: vStride / 4,
    v_offset: vOffset / 4,
    heads,
    bias_centre: bias?.centre ?? 0,
    bias_last: (bias?.bucketOf.elements ?? 1) - 1,
    scale: args.scale,
  };
  const half = k.dtype === "f16";
  const run = (
    queries: number,
    kv: { k: Tensor | Texture; v: Tensor | Texture },
    { specialise: more, functions }: Pick<Dispatch, "specialise" | "functions">,
  ) =>
    device.run(KERNELS[variant], {
      specialise: { ...specialise, ...more },
      functions,
      bind: { ...common, ...kv },
      params,
      workgroups: [Math.ceil(args.maxQueries / queries), heads, spans.shape[0]!],
      work: {
        shape: [heads, args.maxQueries, Math.round((args.pairs ?? 0) / args.maxQueries), headDim],
        flops: 4 * width * (args.pairs ?? 0),
      },
    });
  if (variant === "workgroup") {
    const chunks = Math.ceil(vectors / LANES);
    const KV = half ? "vec2<u32>" : "vec4<f32>";
    return run(QUERIES, { k, v }, {
      specialise: { KV, LANES, QUERIES, CHUNKS: chunks },
      functions: prelude(half, chunks),
    });
  }
  if (variant === "matrix") {
    const matrices = attentionMatrices(device, headDim);
    if (!matrices) {
      const where = device.capabilities.adapter;
      throw new KernelError(
        "no-matrices",
        `Cannot attend by matrices on ${where}, ${headDim} wide`,
      );
    }
    return run(matrices.queries, { k, v }, {
      specialise: { KV: `vec4<${k.dtype}>`, ...matrices.specialise },
      functions: attentionLines(k.dtype, ...matrices.cut),
    });
  }
  const lanes = device.capabilities.subgroupSize;
  // wide heads fill the registers; from buffers loads are what counts, and little code compiles soon
  const [tile, most] = variant === "subgroup"
    ? [1, 4]
    : headDim > 64
    ? [2, lanes > 8 ? 16 : 32]
    : [Number(variantOf(device, "attention_texture queries", args.maxQueries / lanes)), 16];
  const { piece, pieces } = piecesOf(vectors, most);
  const shape = { LANES: lanes, TILE: tile, PIECE: piece, PIECES: pieces };
  const text = unrolledSubgroup(lanes, tile, piece, pieces);
  if (variant === "subgroup") {
    return run(tile * lanes, { k, v }, {
      specialise: { ...shape, KV: half ? "vec2<u32>" : "vec4<f32>" },
      functions: subgroupPrelude(half, text),
    });
  }
  using keys = device.stage(k, "staged keys");
  using values = k === v ? null : device.stage(v, "staged values");
  run(tile * lanes, { k: keys, v: values ?? keys }, {
    specialise: { ...shape, KV: `texture_storage_2d<${keys.format}, read>` },
    functions: texturePrelude(text),
  });
}

function chooseVariant(device: Device, args: AttentionArgs): AttentionVariant {
  const { k, v, heads, headDim, maxQueries } = args;
  const { subgroupSize, class: adapter, implementation } = device.capabilities;
  // keys in f32 are what someone asked for; and not by the number of queries, on which no bit of theirs may depend
  if (adapter === "gpu" && k.dtype === "f16" && attentionMatrices(device, headDim)) return "matrix";
  // Dawn refuses shuffles in a loop whose length it cannot prove uniform
  if (adapter !== "cpu" || implementation !== "wgpu" || subgroupSize === 0) return "workgroup";
  const keys = k.elements / (args.kStride ?? heads * headDim); // of all spans, at most
  const bytes = k.byteLength + (k === v ? 0 : v.byteLength);
  const texels = bytes / (k.dtype === "f16" ? 8 : 16);
  const fits = texels <= textureTexels(device);
  if (!fits) return "subgroup";
  const flops = 4 * heads * headDim * maxQueries * keys;
  return variantOf(device, "attention operands", flops / bytes);
}

const UNPACK_HALF =
  "fn unpack(x: vec2<u32>) -> vec4<f32> { return vec4(unpack2x16float(x.x), unpack2x16float(x.y)); }";
const UNPACK = "fn unpack(x: vec4<f32>) -> vec4<f32> { return x; }";

/** All prelude lines of attention.wgsl. */
const prelude = memoised((half: boolean, chunks: number): string =>
  [half ? UNPACK_HALF : UNPACK, unrolled(chunks)].join("\n")
);

/** All prelude lines of attention_subgroup.wgsl, with keys and values in buffers, and in textures. */
const subgroupPrelude = memoised((half: boolean, text: string): string =>
  [
    half ? UNPACK_HALF : UNPACK,
    ...["k", "v"].map((x) => `fn ${x}_at(i: u32) -> vec4<f32> { return unpack(${x}[i]); }`),
    text,
  ].join("\n")
);
const texturePrelude = memoised((text: string): string =>
  [
    ...["k", "v"].map((x) =>
      `fn ${x}_at(i: u32) -> vec4<f32> { return textureLoad(${x}, vec2(i & 1023, i >> 10)); }`
    ),
    text,
  ].join("\n")
);

/** Invocations of a workgroup of attention.wgsl. */
const LANES = 32;

/** Queries per workgroup: more would load less but spill registers and compile longer. */
const QUERIES = 8;

function repeat(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(" ");
}

function forQueries(line: (i: number) => string): string {
  return repeat(QUERIES, line);
}

/** attention.wgsl's loops over queries, which index arrays that must stay in registers, so by constants only. */
function unrolled(chunks: number): string {
  const over = (step: (lane: number) => string) =>
    `var x = weight(i, 0); ${repeat(LANES - 1, (lane) => step(lane + 1))} return x;`;
  const shift = repeat(QUERIES * chunks - 1, (n) => `acc[${n}] = acc[${n + 1}];`);
  const weigh = forQueries((i) =>
    `{ let p = weight(${i}, j); ${repeat(chunks, (c) => `weigh(${i}, ${c}, p, v${c});`)} }`
  );
  return `
fn largest(i: u32) -> f32 { ${over((lane) => `x = max(x, weight(i, ${lane}));`)} }
fn total(i: u32) -> f32 { ${over((lane) => `x += weight(i, ${lane});`)} }
fn shrink(i: u32, by: f32) { ${repeat(chunks, (c) => `acc[i * CHUNKS + ${c}] *= by;`)} }
fn begin_all() { ${forQueries((i) => `most[${i}] = LOWEST;`)} }
fn clear_all() { ${forQueries((i) => `s[${i}] = 0.0;`)} }
fn logit_all() { ${forQueries((i) => `logit(${i});`)} }
fn soften_all() { ${forQueries((i) => `soften(${i});`)} }
fn sum_all() { ${forQueries((i) => `s[${i}] = sum[${i}];`)} }
fn divide_all() { ${forQueries((i) => `shrink(${i}, inverse(total(${i})));`)} }
fn next() -> vec4<f32> { let x = acc[0]; ${shift} return x; }
fn write_all() { ${forQueries((i) => `shared_s[${i} * LANES + lane] = s[${i}];`)} }
fn score_all(row: u32) {
  for (var d = 0u; d < VECTORS; d++) {
    let x = load_k(row, d);
    ${forQueries((i) => `score(${i}, d, x);`)}
  }
}
fn weigh_all() {
  for (var j = 0u; j < LANES; j++) {
    ${repeat(chunks, (c) => `let v${c} = load_v(j, ${c});`)}
    ${weigh}
  }
}`;
}
