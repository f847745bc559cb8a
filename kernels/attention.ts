import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../engine/mod.ts";
import source from "./attention.wgsl" with { type: "text" };
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
  subgroup: defineKernel("attention_subgroup", subgroupSource, BINDINGS, PARAMS),
  workgroup: defineKernel("attention", source, BINDINGS, PARAMS),
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
  /** How lanes hand values round; chosen by the adapter if absent. Tests name it. */
  readonly variant?: AttentionVariant;
}

/** `subgroup`: a workgroup is one subgroup of a fixed size. `workgroup`: any adapter. */
export type AttentionVariant = "subgroup" | "workgroup";

/**
 * y = softmax(scale · q · kᵀ + bias) · v, per head and span: every attention of the model.
 *
 * The queries of a span attend to exactly its keys: a batch is spans, variable text lengths are spans, and so is each
 * scale of block-causal teacher forcing. No keys give zeros. Softmax and sums in f32.
 *
 * @throws {KernelError} if shapes disagree or something is not divisible by 4.
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
  const { subgroupSize, class: adapter, implementation } = device.capabilities;
  // Dawn refuses shuffles in a loop whose length it cannot prove uniform
  const shuffles = adapter === "cpu" && implementation === "wgpu" && subgroupSize > 0;
  const variant = args.variant ?? (shuffles ? "subgroup" : "workgroup");
  const lanes = variant === "subgroup" ? subgroupSize : 32;
  const vectors = headDim / 4;
  device.run(KERNELS[variant], {
    specialise: {
      Q: `vec4<${q.dtype}>`,
      KV: k.dtype === "f16" ? "vec2<u32>" : "vec4<f32>",
      Y: `vec4<${y.dtype}>`,
      LANES: lanes,
      QUERIES,
      CHUNKS: Math.ceil(vectors / lanes),
      VECTORS: vectors,
      BIAS: bias !== undefined,
    },
    functions: prelude(k.dtype === "f16", variant, lanes, vectors),
    bind: {
      q,
      k,
      v,
      spans,
      bias_table: bias?.table ?? null,
      bias_bucket: bias?.bucketOf ?? null,
      y,
    },
    params: {
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
    },
    workgroups: [Math.ceil(args.maxQueries / QUERIES), heads, spans.shape[0]!],
  });
}

/** All prelude lines. */
const prelude = memoised((
  half: boolean,
  variant: AttentionVariant,
  lanes: number,
  vectors: number,
): string => {
  const shape: Shape = { lanes, chunks: Math.ceil(vectors / lanes) };
  return [
    half
      ? "fn unpack(x: vec2<u32>) -> vec4<f32> { return vec4(unpack2x16float(x.x), unpack2x16float(x.y)); }"
      : "fn unpack(x: vec4<f32>) -> vec4<f32> { return x; }",
    unrolled(shape),
    variant === "subgroup" ? bySubgroup(shape) : byWorkgroup(shape),
  ].join("\n");
});

/** Queries per workgroup: more would load less but spill registers and compile longer. */
const QUERIES = 8;

/** What the unrolled text is made for. */
interface Shape {
  readonly lanes: number;
  /** Vec4s of a head that one lane owns. */
  readonly chunks: number;
}

function repeat(count: number, line: (i: number) => string, separator: string = " "): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(separator);
}

function forQueries(line: (i: number) => string): string {
  return repeat(QUERIES, line);
}

/** The loops over queries, which index arrays that must stay in registers, so by constants only. */
function unrolled({ lanes, chunks }: Shape): string {
  const over = (step: (lane: number) => string) =>
    `var x = weight(i, 0); ${repeat(lanes - 1, (lane) => step(lane + 1))} return x;`;
  const shift = repeat(QUERIES * chunks - 1, (n) => `acc[${n}] = acc[${n + 1}];`);
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
fn next() -> vec4<f32> { let x = acc[0]; ${shift} return x; }`;
}

/**
 * A workgroup is one subgroup: `query` and `weight` are shuffles, which want constant lanes. The loops are unrolled
 * over one chunk of channels while the chunks take turns in the first place of their arrays, so that the code, and
 * the time to compile it, is the same for every head_dim.
 */
function bySubgroup({ lanes, chunks }: Shape): string {
  const turn = (array: string) =>
    chunks === 1 ? "" : forQueries((i) => {
      const at = (chunk: number) => `${array}[${i * chunks + chunk}]`;
      const moves = repeat(chunks - 1, (chunk) => `${at(chunk)} = ${at(chunk + 1)};`);
      return `{ let x = ${at(0)}; ${moves} ${at(chunks - 1)} = x; }`;
    });
  const loop = (load: (j: number) => string, line: (i: number, j: number) => string) =>
    `for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    ${repeat(lanes, (j) => `{ let x = ${load(j)}; ${forQueries((i) => line(i, j))} }`, "\n    ")}`;
  const shift = repeat(QUERIES * chunks - 1, (n) => `own[${n}] = own[${n + 1}];`);
  return `
fn keep_query(n: u32, x: vec4<f32>) { ${shift} own[${QUERIES * chunks - 1}] = x; }
fn query(i: u32, d: u32) -> vec4<f32> { return subgroupShuffle(own[i * CHUNKS], d); }
fn weight(i: u32, lane: u32) -> f32 { return subgroupShuffle(s[i], lane); }
fn score_all(row: u32) {
  ${loop((d) => `load_k(row, chunk * LANES + ${d})`, (i, d) => `score(${i}, ${d}, x);`)}
    ${turn("own")}
  }
}
fn weigh_all() {
  ${loop((j) => `load_v(${j}, chunk)`, (i, j) => `weigh(${i}, 0, weight(${i}, ${j}), x);`)}
    ${turn("acc")}
  }
}`;
}

/** What attention.wgsl loops over, unrolled. */
function byWorkgroup({ chunks }: Shape): string {
  const weigh = forQueries((i) =>
    `{ let p = weight(${i}, j); ${repeat(chunks, (c) => `weigh(${i}, ${c}, p, v${c});`)} }`
  );
  return `
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
