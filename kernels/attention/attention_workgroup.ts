/**
 * Attention on any adapter, see attention_workgroup.wgsl.
 *
 * @module
 */

import { type Device, memoised } from "../../engine/mod.ts";
import {
  type AttentionArgs,
  defineAttention,
  launchAttention,
  LOAD_F32,
} from "./attention_launch.ts";
import { repeat } from "../shared/unroll.ts";
import source from "./attention_workgroup.wgsl" with { type: "text" };

const kernel = defineAttention("attention_workgroup", "buffers", source);

/** Invocations of a workgroup. */
const LANES = 32;

/** Queries per workgroup: they change no sum. More would save loads, but spill registers and compile longer. */
const QUERIES = [1, 4, 8] as const;

/** About two workgroups for each processor of a large GPU: from there on, queries share one. */
const ENOUGH = 256;

/** The variant `workgroup`. */
export function attentionWorkgroup(device: Device, args: AttentionArgs): void {
  const { k, v, spans, heads, headDim, maxQueries } = args;
  const workgroups = (queries: number) => Math.ceil(maxQueries / queries) * heads * spans.shape[0]!;
  // software adapters take long to compile, so they get one
  const queries = device.capabilities.class === "gpu"
    ? QUERIES.find((n) => workgroups(n) <= ENOUGH) ?? 8
    : 8;
  const load = LOAD_F32[k.dtype as keyof typeof LOAD_F32];
  const chunks = Math.ceil(headDim / 4 / LANES);
  launchAttention(device, args, {
    kernel,
    queries,
    k,
    v,
    specialise: { ...load.specialise, LANES, QUERIES: queries, CHUNKS: chunks },
    functions: prelude(load.functions, chunks, queries),
  });
}

const prelude = memoised((unpack: string, chunks: number, queries: number): string =>
  `${unpack}\n${unrolled(chunks, queries)}`
);

/** The loops over queries: the arrays they index stay in registers only under constant indices. */
function unrolled(chunks: number, queries: number): string {
  const forQueries = (line: (i: number) => string) => repeat(queries, line);
  const over = (step: (lane: number) => string) =>
    `var x = weight(i, 0); ${repeat(LANES - 1, (lane) => step(lane + 1))} return x;`;
  const shift = repeat(queries * chunks - 1, (n) => `acc[${n}] = acc[${n + 1}];`);
  const weigh = forQueries((i) =>
    `{ let p = weight(${i}, j); ${repeat(chunks, (c) => `weigh(${i}, ${c}, p, v${c});`)} }`
  );
  return `
fn largest(i: u32) -> f32 { ${over((lane) => `x = max(x, weight(i, ${lane}));`)} }
fn total(i: u32) -> f32 { ${over((lane) => `x += weight(i, ${lane});`)} }
fn rescale(i: u32, by: f32) { ${repeat(chunks, (c) => `acc[i * CHUNKS + ${c}] *= by;`)} }
fn reset_maxima() { ${forQueries((i) => `maxima[${i}] = LOWEST;`)} }
fn reset_logits() { ${forQueries((i) => `s[${i}] = 0.0;`)} }
fn logit_all() { ${forQueries((i) => `logit(${i});`)} }
fn softmax_all() { ${forQueries((i) => `softmax(${i});`)} }
fn sum_all() { ${forQueries((i) => `s[${i}] = sum[${i}];`)} }
fn divide_all() { ${forQueries((i) => `rescale(${i}, inverse(total(${i})));`)} }
fn next() -> vec4<f32> { let x = acc[0]; ${shift} return x; }
fn share_all() { ${forQueries((i) => `shared_s[${i} * LANES + lane] = s[${i}];`)} }
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
