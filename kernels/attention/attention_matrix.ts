/**
 * Attention on tensor cores in two passes, see attention_matrix.wgsl.
 *
 * @module
 */

import {
  type Device,
  KernelError,
  memoised,
  type Specialisation,
  type SubgroupMatrix,
} from "../../engine/mod.ts";
import { matrixShape, matrixTypes, TILE_K } from "../shared/matrix.ts";
import { toF16 } from "../shared/narrow.ts";
import { range } from "../shared/unroll.ts";
import { type AttentionArgs, defineAttention, launchAttention } from "./attention_launch.ts";
import source from "./attention_matrix.wgsl" with { type: "text" };

const kernel = defineAttention("attention_matrix", "buffers", source);

/** Keys per step, and what a head's width is padded to a multiple of. Every shape of {@link matrixShape} divides it. */
export const KEYS = TILE_K;

/** Subgroups of a workgroup; the first number that workgroup memory has room for. */
const SUBGROUPS = [4, 2];

/** Wider heads would spill registers. */
const WIDEST = 128;

/**
 * Padding of a row in workgroup memory, in vec4s of f16 and of f32: rows of a matrix then fall into different banks.
 */
const PAD = 2;
const PAD_F32 = 1;

/**
 * The variant `two-pass`.
 *
 * @throws {KernelError} `no-matrices`: see {@link attentionMatrices}.
 */
export function attentionMatrix(device: Device, args: AttentionArgs): void {
  const { k, v, headDim } = args;
  const matrices = attentionMatrices(device, headDim);
  if (!matrices) {
    throw new KernelError(
      "no-matrices",
      `Cannot attend by matrices on ${device.capabilities.adapter}, ${headDim} wide`,
    );
  }
  launchAttention(device, args, {
    kernel,
    queries: matrices.queries,
    k,
    v,
    specialise: { KV: `vec4<${k.dtype}>`, Loaded: "vec4<f16>", ...matrices.specialise },
    functions: `${toF16("largest")}\n${unpackLines(k.dtype)}\n${attentionLines(...matrices.cut)}`,
  });
}

/** How a device multiplies the matrices of attention. */
export interface AttentionMatrices {
  /** Queries of a workgroup. */
  readonly queries: number;
  /** Constants and types. */
  readonly specialise: Specialisation;
  /** For {@link attentionLines}. */
  readonly cut: [M: number, N: number, K: number, rows: number, width: number];
}

/** The parts of a head's cut that are numbers: vec4s of f16 in a row of channels are `pitch`, in one of weights `pitchP`. */
type CutNumbers = Record<"lanes" | "rows" | "split" | "width" | "pitch" | "pitchP", number>;

/** How a subgroup shares out queries of a head; null if the adapter has no f16 matrices, or none that fit its width. */
export function cutHead(device: Device, headDim: number): (SubgroupMatrix & CutNumbers) | null {
  const { subgroupSize: lanes } = device.capabilities;
  const shape = matrixShape(device);
  if (!shape || headDim > WIDEST) return null;
  const rows = lanes < 16 ? 8 : 16, split = lanes / rows;
  if (rows % shape.M || lanes % rows || KEYS / 4 % split) return null;
  const width = Math.ceil(headDim / KEYS) * KEYS;
  return { ...shape, lanes, rows, split, width, pitch: width / 4 + PAD, pitchP: KEYS / 4 + PAD };
}

/**
 * Null if the adapter has no f16 matrices, or none that fit heads of this width.
 *
 * @param products Products of queries and keys that are in workgroup memory at a time, and as many weights.
 */
export function attentionMatrices(
  device: Device,
  headDim: number,
  products: 1 | 2 = 1,
): AttentionMatrices | null {
  const { limits } = device.capabilities;
  const cut = cutHead(device, headDim);
  if (!cut) return null;
  const { M, N, K, lanes, rows, split, width, pitch, pitchP } = cut;
  const pitchS = KEYS / 4 + PAD_F32;
  const tileOf = (queries: number) => Math.max(queries, 2 * KEYS) * pitch;
  const bytesOf = (subgroups: number) => {
    const queries = subgroups * rows;
    return 32 + 8 * tileOf(queries) + products * queries * (16 * pitchS + 8 * pitchP) +
      4 * MOST_PARTS[products] * subgroups * lanes;
  };
  const subgroups = SUBGROUPS.find((n) => bytesOf(n) <= limits.maxComputeWorkgroupStorageSize!);
  if (subgroups === undefined) return null;
  const queries = subgroups * rows;
  return {
    queries,
    cut: [M, N, K, rows, width],
    specialise: {
      ...matrixTypes(M, N, K),
      WG: subgroups * lanes,
      QUERIES: queries,
      ROWS: rows,
      KEYS,
      SPLIT: split,
      WIDTH: width / 4,
      PITCH: pitch,
      PITCH_S: pitchS,
      PITCH_P: pitchP,
      TILE: tileOf(queries),
    },
  };
}

/** Numbers of an invocation that others read, by the products. */
const MOST_PARTS = { 1: 1, 2: 4 } as const;

/** WGSL `unpack`: keys and values of dtype `kv` as f16. */
function unpackLines(kv: string): string {
  const value = kv === "f16" ? "x" : "to_f16(x)";
  return `fn unpack(x: KV) -> Loaded { return ${value}; }`;
}

/**
 * WGSL, unrolled, since matrices stay in registers only as separate variables:
 *
 * - `Queries`: rows of `tile` that stay in registers, from `load_queries(at)`.
 * - `score(q, origin, at)` puts their products with KEYS rows of `tile` into `logits`.
 * - `Output`: sums of rows, to which `weigh(output, at, origin)` adds KEYS rows of `tile`, weighted.
 * - `finish_all(output, at, by)` puts sums into `logits`, KEYS channels at a time, and calls `store(c, by)`.
 */
export const attentionLines = memoised(
  (M: number, N: number, K: number, rows: number, width: number): string => {
    const high = range(rows / M), deep = range(width / K);
    const keys = range(KEYS / N), channels = range(width / N);
    const queries = high.flatMap((i) => deep.map((k) => ({ i, k, name: `q${i}_${k}` })));
    const output = high.flatMap((i) => channels.map((j) => ({ i, j, name: `o${i}_${j}` })));
    const logits = high.flatMap((i) => keys.map((j) => ({ i, j, name: `s${i}_${j}` })));
    const multiply = (a: string, b: string, sum: string) =>
      `  ${sum} = subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${sum});`;
    const put = (name: string, i: number, j: number) =>
      `  subgroupMatrixStore<row_major>(&logits, at + ${i * M} * PITCH_S + ${
        j * N / 4
      }, ${name}, PITCH_S);`;
    return [
      `struct Queries { ${queries.map(({ name }) => `${name}: Left`).join(", ")} }`,
      `struct Output { ${output.map(({ name }) => `${name}: Result`).join(", ")} }`,
      "fn load_queries(at: u32) -> Queries {",
      "  var q: Queries;",
      ...queries.map(({ i, k, name }) =>
        `  q.${name} = subgroupMatrixLoad<Left, row_major>(&tile, at + ${i * M} * PITCH + ${
          k * K / 4
        }, PITCH);`
      ),
      "  return q;",
      "}",
      "fn score(q: Queries, origin: u32, at: u32) {",
      ...logits.map(({ name }) => `  var ${name} = Result();`), // a declaration alone is zero in the first turn only
      ...deep.flatMap((k) =>
        keys.flatMap((j) => [
          `  let k${k}_${j} = subgroupMatrixLoad<Right, col_major>(&tile, origin + ${
            j * N
          } * PITCH + ${k * K / 4}, PITCH);`,
          ...high.map((i) => multiply(`q.q${i}_${k}`, `k${k}_${j}`, `s${i}_${j}`)),
        ])
      ),
      ...logits.map(({ i, j, name }) => put(name, i, j)),
      "}",
      "fn weigh(output: Output, at: u32, origin: u32) -> Output {",
      "  var o = output;",
      ...range(KEYS / K).flatMap((k) => [
        ...high.map((i) =>
          `  let p${k}_${i} = subgroupMatrixLoad<Left, row_major>(&weights, at + ${
            i * M
          } * PITCH_P + ${k * K / 4}, PITCH_P);`
        ),
        ...channels.flatMap((j) => [
          `  let v${k}_${j} = subgroupMatrixLoad<Right, row_major>(&tile, origin + ${
            k * K
          } * PITCH + ${j * N / 4}, PITCH);`,
          ...high.map((i) => multiply(`p${k}_${i}`, `v${k}_${j}`, `o.o${i}_${j}`)),
        ]),
      ]),
      "  return o;",
      "}",
      "fn finish_all(o: Output, at: u32, by: f32) {",
      ...range(width / KEYS).flatMap((block) => [
        ...high.flatMap((i) => keys.map((j) => put(`o.o${i}_${block * keys.length + j}`, i, j))),
        "  workgroupBarrier();",
        `  store(${block * KEYS / 4}, by);`,
        "  workgroupBarrier();",
      ]),
      "}",
    ].join("\n");
  },
);
