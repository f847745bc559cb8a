/**
 * Attention on tensor cores in one pass, see attention_one_pass.wgsl.
 *
 * @module
 */

import { type Device, KernelError, memoised, type Specialisation } from "../../engine/mod.ts";
import { matrixTypes } from "../shared/matrix.ts";
import { toF16 } from "../shared/narrow.ts";
import { range } from "../shared/unroll.ts";
import { type AttentionArgs, defineAttention, launchAttention } from "./attention_launch.ts";
import { cutHead, KEYS } from "./attention_matrix.ts";
import source from "./attention_one_pass.wgsl" with { type: "text" };

const kernel = defineAttention("attention_one_pass", "buffers", source);

/** Subgroups that share loads of keys and values: each makes the logits of its part of the keys, and its channels. */
const TEAM = 2;

/** Subgroups of a workgroup and vec4s of f32 added to a row of logits, the best first: neither changes a sum. */
const CUTS = [[8, 2], [8, 1], [4, 2], [4, 1], [2, 1]] as const;

/**
 * The variant `one-pass`.
 *
 * @throws {KernelError} `no-matrices`: see {@link onePass}.
 */
export function attentionOnePass(device: Device, args: AttentionArgs): void {
  const { k, v, headDim } = args;
  const cut = onePass(device, headDim);
  if (!cut) {
    throw new KernelError(
      "no-matrices",
      `Cannot attend by matrices on ${device.capabilities.adapter}, ${headDim} wide`,
    );
  }
  launchAttention(device, args, {
    kernel,
    queries: cut.queries,
    k,
    v,
    specialise: { KV: `vec4<${k.dtype}>`, Loaded: "vec4<f16>", ...cut.specialise },
    functions: prelude(k.dtype, ...cut.lines),
  });
}

/** How a device attends in one pass. */
export interface OnePass {
  /** Queries of a workgroup. */
  readonly queries: number;
  /** Constants and types. */
  readonly specialise: Specialisation;
  /** For the prelude. */
  readonly lines: [
    M: number,
    N: number,
    K: number,
    rows: number,
    split: number,
    width: number,
    pieces: number,
  ];
}

/** Null if the adapter has no f16 matrices, or none that fit heads of this width. */
export function onePass(device: Device, headDim: number): OnePass | null {
  const { limits } = device.capabilities;
  const head = cutHead(device, headDim);
  if (!head) return null;
  const { M, N, K, lanes, rows, split, width, pitch, pitchP } = head;
  const bytes = (subgroups: number, pad: number) =>
    32 + 16 * KEYS * pitch + subgroups * rows * (16 * (KEYS / 4 + pad) + 8 * pitchP);
  const cut = CUTS.find(([subgroups, pad]) =>
    subgroups * lanes <= limits.maxComputeInvocationsPerWorkgroup! &&
    bytes(subgroups, pad) <= limits.maxComputeWorkgroupStorageSize!
  );
  if (!cut || KEYS / TEAM % N) return null;
  const [subgroups, pad] = cut;
  const pieces = Math.ceil(KEYS * width / 4 / (subgroups * lanes));
  return {
    queries: subgroups * rows,
    lines: [M, N, K, rows, split, width, pieces],
    specialise: {
      ...matrixTypes(M, N, K),
      WG: subgroups * lanes,
      QUERIES: subgroups * rows,
      ROWS: rows,
      TEAM,
      KEYS,
      SPLIT: split,
      WIDTH: width / 4,
      PIECES: pieces,
      PITCH: pitch,
      PITCH_S: KEYS / 4 + pad,
      PITCH_P: pitchP,
    },
  };
}

const prelude = memoised((kv: string, ...lines: OnePass["lines"]): string => {
  const [M, N, K, rows, split, width, pieces] = lines;
  const unpack = kv === "f16" ? "x" : "to_f16(x)";
  return `${toF16("largest")}
fn unpack(x: KV) -> Loaded { return ${unpack}; }
${laneLines(KEYS / 4 / split, split, pieces)}
${attend(M, N, K, rows, width)}`;
});

/** What lanes do, with `own` vec4s of a row of logits each: arrays stay in registers only under constant indices. */
function laneLines(own: number, split: number, pieces: number): string {
  const each = (count: number, line: (i: number) => string) => range(count).map(line).join("\n");
  // lanes of a row lie side by side
  const shared = (x: string, f: (a: string, b: string) => string) =>
    range(Math.log2(split)).map((bit) =>
      `${x} = ${f(x, `subgroupShuffleXor(${x}, ${1 << bit}u)`)};`
    ).join("\n");
  return `
fn fetch_keys(start: u32) {
${each(pieces, (m) => `next_k[${m}] = load_key(${m}, start);`)}
}
fn fetch_values(start: u32) {
${each(pieces, (m) => `next_v[${m}] = load_value(${m}, start);`)}
}
fn keep_keys() {
${each(pieces, (m) => `keep(${m}, 0, next_k[${m}]);`)}
}
fn keep_values() {
${each(pieces, (m) => `keep(${m}, KEYS * PITCH, next_v[${m}]);`)}
}
fn soften() {
${each(own, (c) => `var s${c} = logit(${c});`)}
if (step + KEYS > span.w) {
${each(own, (c) => `s${c} = mask(${c}, s${c});`)}
}
let m = ${range(own).map((c) => `s${c}`).reduce((a, b) => `max(${a}, ${b})`)};
var most = max(max(m.x, m.y), max(m.z, m.w));
${shared("most", (a, b) => `max(${a}, ${b})`)}
refer(most);
${each(own, (c) => `weigh(${c}, s${c});`)}
}
fn multiply_all() {
${each(own, (c) => `multiply(${c});`)}
}
fn total() -> f32 {
var all = dot(sum, vec4(1.0));
${shared("all", (a, b) => `${a} + ${b}`)}
return all;
}
fn store_all(block: u32, by: f32) {
${each(own, (c) => `store(block, ${c}, by);`)}
}`;
}

/** The function that holds the matrices: they stay in registers only as variables of one function. */
function attend(M: number, N: number, K: number, rows: number, width: number): string {
  const high = range(TEAM * rows / M), deep = range(KEYS / K), keys = range(KEYS / TEAM / N);
  const blocks = range(width / KEYS), channels = range(width / TEAM / N);
  const lines = (...parts: string[]) => parts.join("\n");
  const forRows = (line: (i: number) => string) => lines(...high.map(line));
  const multiply = (sum: string, a: string, b: string) =>
    `${sum} = subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${sum});`;
  const left = (i: number, k: number) =>
    `subgroupMatrixLoad<Left, row_major>(&weights, (rows + ${i * M}) * PITCH_P + ${
      k * K / 4
    }, PITCH_P)`;
  const place = (i: number, j: number) =>
    `&logits, (rows + ${i * M}) * PITCH_S + part * SHARE + ${j * N / 4}`;
  const put = (i: number, j: number, name: string) =>
    `subgroupMatrixStore<row_major>(${place(i, j)}, ${name}, PITCH_S);`;
  const get = (i: number, j: number) =>
    `subgroupMatrixLoad<Result, row_major>(${place(i, j)}, PITCH_S)`;
  const sums = (block: number, line: (i: number, j: number, name: string) => string) =>
    forRows((i) => lines(...keys.map((j) => line(i, j, `o${i}_${block * keys.length + j}`))));

  const query = (block: number) =>
    lines(
      `keep_queries(${block * KEYS / 4});`,
      "workgroupBarrier();",
      ...deep.map((k) => forRows((i) => `let q${i}_${block * deep.length + k} = ${left(i, k)};`)),
      "workgroupBarrier();",
    );
  const score = range(width / K).flatMap((d) =>
    keys.map((j) =>
      lines(
        `let k${d}_${j} = subgroupMatrixLoad<Right, col_major>(&tile, (part * (KEYS / TEAM) + ${
          j * N
        }) * PITCH + ${d * K / 4}, PITCH);`,
        forRows((i) => multiply(`s${i}_${j}`, `q${i}_${d}`, `k${d}_${j}`)),
      )
    )
  );
  const rescale = (block: number) =>
    lines(
      sums(block, put),
      "workgroupBarrier();",
      "multiply_all();",
      "workgroupBarrier();",
      sums(block, (i, j, name) => `${name} = ${get(i, j)};`),
      "workgroupBarrier();",
    );
  const sum = deep.flatMap((k) => [
    forRows((i) => `let w${k}_${i} = ${left(i, k)};`),
    ...channels.map((j) =>
      lines(
        `let v${k}_${j} = subgroupMatrixLoad<Right, row_major>(&tile, ${
          KEYS + k * K
        } * PITCH + part * (WIDTH / TEAM) + ${j * N / 4}, PITCH);`,
        forRows((i) => multiply(`o${i}_${j}`, `w${k}_${i}`, `v${k}_${j}`)),
      )
    ),
  ]);
  const finish = (block: number) =>
    lines(
      sums(block, put),
      "workgroupBarrier();",
      `store_all(${block}, by);`,
      "workgroupBarrier();",
    );
  return lines(
    "fn attend(rows: u32, part: u32, keys: u32) {",
    ...blocks.map(query),
    forRows((i) => lines(...channels.map((j) => `var o${i}_${j} = Result();`))),
    "if (keys > 0) {", // a span without keys may lie at the end of a tensor
    "fetch_keys(0);",
    "keep_keys();",
    "}",
    "workgroupBarrier();",
    "for (var key = 0u; key < keys; key += KEYS) {",
    "step = key;",
    forRows((i) => lines(...keys.map((j) => `var s${i}_${j} = Result();`))),
    ...score,
    forRows((i) => lines(...keys.map((j) => put(i, j, `s${i}_${j}`)))),
    "workgroupBarrier();",
    "fetch_values(key);",
    "fetch_keys(key + KEYS);",
    "soften();",
    "keep_values();",
    "keep_keys();",
    "if (workgroupUniformLoad(&moved[0]) == key && key > 0) {",
    ...blocks.map(rescale),
    "}",
    ...sum,
    "}",
    "let by = inverse(total());",
    "workgroupBarrier();",
    ...blocks.map(finish),
    "}",
  );
}
