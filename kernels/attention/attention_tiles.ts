/**
 * Attention by tiles in workgroup memory and registers, see attention_tiles.wgsl.
 *
 * @module
 */

import { type Device, KernelError, memoised } from "../../engine/mod.ts";
import { range, repeat } from "../shared/unroll.ts";
import { variantOf } from "../shared/variants.ts";
import {
  type AttentionArgs,
  defineAttention,
  launchAttention,
  LOAD_F32,
} from "./attention_launch.ts";
import source from "./attention_tiles.wgsl" with { type: "text" };

const kernel = defineAttention("attention_tiles", "buffers", source);

/** Queries of a workgroup, fewest first; they change no sum, so the batch may decide. */
const HEIGHTS = ["64", "128"] as const;

/** Wider heads would spill registers. */
const WIDEST = 128;

/** Spans of at most so many keys take half a step, with the same bits. */
const SHORT = 64;

/** How a workgroup is cut. */
interface Cut {
  /** Invocations along queries, each with 8. */
  readonly across: number;
  /** Keys of an invocation; 16 invocations lie along keys. */
  readonly keys: number;
  /** Vec4s of channels of an invocation. */
  readonly chunks: number;
}

/**
 * The variant `tiles`.
 *
 * @throws {KernelError} `no-room`: see {@link fitsTiles}.
 */
export function attentionTiles(device: Device, args: AttentionArgs): void {
  const { k, v, spans, heads, headDim, maxQueries, maxKeys = k.elements } = args;
  if (!fitsTiles(device, headDim)) {
    throw new KernelError(
      "no-room",
      `Cannot attend by tiles on ${device.capabilities.adapter}, ${headDim} wide`,
    );
  }
  const large = cutOf(128, maxKeys, headDim);
  const workgroups = Math.ceil(maxQueries / 128) * heads * spans.shape[0]!;
  const height = fits(device, large)
    ? variantOf(device, "attention_tiles queries", workgroups)
    : HEIGHTS[0];
  const { across, keys, chunks } = cutOf(Number(height), maxKeys, headDim);
  const load = LOAD_F32[k.dtype as keyof typeof LOAD_F32];
  // unrolled turns cost software adapters seconds to compile
  const turns = device.capabilities.class === "gpu" ? 4 : 1;
  launchAttention(device, args, {
    kernel,
    queries: 8 * across,
    k,
    v,
    specialise: {
      ...load.specialise,
      WG: 16 * across,
      ACROSS: across,
      KEYS: 16 * keys,
      CHUNKS: chunks,
      PLACES: placesOf(keys, chunks),
      TURNS: turns,
    },
    functions: prelude(load.functions, across, keys, chunks, turns),
  });
}

/** Whether the variant takes heads of this width, and the adapter has the workgroup memory. */
export function fitsTiles(device: Device, headDim: number): boolean {
  return headDim <= WIDEST && fits(device, cutOf(Number(HEIGHTS[0]), Infinity, headDim));
}

function cutOf(height: number, maxKeys: number, headDim: number): Cut {
  return { across: height / 8, keys: maxKeys > SHORT ? 8 : 4, chunks: Math.ceil(headDim / 64) };
}

function placesOf(keys: number, chunks: number): number {
  return Math.max(keys, 4 * chunks);
}

function fits({ capabilities: { limits } }: Device, { across, keys, chunks }: Cut): boolean {
  const vectors = 1 + 32 * (2 * across + 1) + 128 * placesOf(keys, chunks);
  return 16 * vectors <= limits.maxComputeWorkgroupStorageSize! &&
    16 * across <= limits.maxComputeInvocationsPerWorkgroup!;
}

const prelude = memoised((
  unpack: string,
  across: number,
  keys: number,
  chunks: number,
  turns: number,
) => `${unpack}\n${unrolled({ across, keys, chunks }, turns)}`);

/** The loops over queries, keys, channels and pieces: arrays stay in registers only under constant indices. */
function unrolled({ across, keys, chunks }: Cut, turns: number): string {
  const piecesK = 8 * keys / across, piecesV = 32 * chunks / across;
  const queries = (line: (i: number) => string) => repeat(8, line);
  const each = (line: (i: number, j: number) => string) =>
    repeat(keys, (j) => queries((i) => line(i, j)));
  const four = (name: string, from: number) =>
    `vec4(${[0, 1, 2, 3].map((i) => `${name}[${from + i}]`).join(", ")})`;
  const share = (name: string) =>
    `qp[tk / 4][tk % 4][tq] = ${four(name, 0)};
qp[tk / 4][tk % 4][tq + ACROSS] = ${four(name, 4)};`;
  // of the 16 invocations that share queries, in order
  const over = (step: (other: string) => string) =>
    [0, 1].map((h) => {
      const other = (t: number) => `qp[${t >> 2}][${t % 4}][tq + ${h * across}]`;
      return `{ var x = ${other(0)};\n${repeat(15, (t) => step(other(t + 1)))}\n` +
        `${repeat(4, (i) => `all[${4 * h + i}] = x[${i}];`)} }`;
    }).join("\n");
  const score = (c: number) =>
    `{
${queries((i) => `let q${i} = qp[c + ${c}][${i >> 1}][tq + ${i % 2 * across}];`)}
${
      repeat(keys, (j) =>
        `let k${j} = kv[c + ${c}][${j}][tk];\n${
          queries((i) => `s[${8 * j + i}] = dot4(q${i}, k${j}, s[${8 * j + i}]);`)
        }`)
    }
}`;
  const weigh = (turn: number) =>
    repeat(
      4,
      (u) =>
        `{ let p = qp[t + ${turn}][${u}][tq]; let r = qp[t + ${turn}][${u}][tq + ACROSS];
${
          repeat(chunks, (c) =>
            `let v${c} = kv[t + ${turn}][${u * chunks + c}][tk];\n${
              queries((i) => {
                const at = `acc[${i * chunks + c}]`;
                return `${at} = fma(vec4(${i < 4 ? "p" : "r"}[${i % 4}]), v${c}, ${at});`;
              })
            }`)
        } }`,
    );
  // 32 keys: two of each invocation's
  const piece = (n: number) =>
    `{
workgroupBarrier();
${
      [0, 1].map((half) =>
        [0, 1].map((h) =>
          `qp[tk / 4 + ${4 * half}][tk % 4][tq + ${h * across}] = ${
            four("s", 16 * n + 8 * half + 4 * h)
          };`
        ).join("\n")
      ).join("\n")
    }
keep_values();
workgroupBarrier();
${n + 1 < keys / 2 ? `fetch_values(${32 * (n + 1)});` : ""}
for (var t = 0u; t < 8; t += TURNS) { weigh(t); }
}`;
  return `
fn fetch_operands(block: u32) {
${repeat(4, (m) => `next_q[${m}] = load_query(${m}, block);`)}
${repeat(piecesK, (m) => `next_k[${m}] = load_key(${m}, block);`)}
}
fn keep_operands(block: u32) {
${repeat(4, (m) => `keep_query(${m}, block, vec4<f32>(next_q[${m}]));`)}
${repeat(piecesK, (m) => `keep_key(${m}, block, unpack(next_k[${m}]));`)}
}
fn fetch_values(start: u32) {
${repeat(piecesV, (m) => `next_v[${m}] = load_value(${m}, start);`)}
}
fn keep_values() {
${repeat(piecesV, (m) => `keep_value(${m}, unpack(next_v[${m}]));`)}
}
fn reset_maxima() { ${queries((i) => `maxima[${i}] = LOWEST;`)} }
fn reset_logits() { ${repeat(8 * keys, (n) => `s[${n}] = 0.0;`)} }
fn score(c: u32) {
${repeat(turns, score)}
}
fn finish_logits() {
${each((i, j) => `s[${8 * j + i}] = logit(${i}, ${j}, s[${8 * j + i}]);`)}
}
fn share_maxima() {
var own: array<f32, 8>;
${
    queries((i) => {
      const row = range(keys).map((j) => `s[${8 * j + i}]`);
      return `own[${i}] = ${row.reduce((a, b) => `max(${a}, ${b})`)};`;
    })
  }
${share("own")}
}
fn softmax() {
var all: array<f32, 8>;
${over((other) => `x = max(x, ${other});`)}
${
    queries((i) =>
      `{ let m = max(maxima[${i}], all[${i}]); let keep = exp2(maxima[${i}] - m); maxima[${i}] = m;
sums[${i}] *= keep;
${repeat(chunks, (c) => `acc[${i * chunks + c}] *= keep;`)}
${
        repeat(
          keys,
          (j) => `s[${8 * j + i}] = exp2(s[${8 * j + i}] - m); sums[${i}] += s[${8 * j + i}];`,
        )
      } }`
    )
  }
}
fn weigh(t: u32) {
${repeat(turns, weigh)}
}
fn weigh_all(left: u32) {
${piece(0)}
${repeat(keys / 2 - 1, (n) => `if (left > ${32 * (n + 1)}) ${piece(n + 1)}`)}
}
fn share_sums() {
${share("sums")}
}
fn divide_all() {
var all: array<f32, 8>;
${over((other) => `x += ${other};`)}
${
    queries((i) =>
      `{ let by = inverse(all[${i}]);\n${repeat(chunks, (c) => `acc[${i * chunks + c}] *= by;`)} }`
    )
  }
}
fn store_all() {
${queries((i) => repeat(chunks, (c) => `store(${i}, ${c}, acc[${i * chunks + c}]);`))}
}`;
}
