/**
 * Attention where a workgroup is one subgroup of a fixed size, see attention_subgroup.wgsl.
 *
 * @module
 */

import { type Device, memoised } from "../../engine/mod.ts";
import { ANY_LANE } from "../shared/textures.ts";
import { repeat } from "../shared/unroll.ts";
import { variantOf } from "../shared/variants.ts";
import {
  type AttentionArgs,
  defineAttention,
  launchAttention,
  LOAD_F32,
} from "./attention_launch.ts";
import source from "./attention_subgroup.wgsl" with { type: "text" };

const bufferKernel = defineAttention("attention_subgroup", "buffers", source);
const textureKernel = defineAttention("attention_texture", "textures", source);

/** The variant `subgroup`. Loads are what costs, and little code compiles fast. */
export function attentionSubgroup(device: Device, args: AttentionArgs): void {
  const { k, v } = args;
  const dtype = k.dtype as keyof typeof LOAD_F32;
  const { queries, specialise, loops } = unrolledFor(device, args, 1, 4);
  launchAttention(device, args, {
    kernel: bufferKernel,
    queries,
    k,
    v,
    specialise: { ...specialise, ...LOAD_F32[dtype].specialise },
    functions: bufferLines(dtype, ...loops),
  });
}

/** The variant `texture`. */
export function attentionTexture(device: Device, args: AttentionArgs): void {
  const { k, v, headDim, maxQueries } = args;
  const lanes = device.capabilities.subgroupSize;
  // wide heads fill the registers
  const [tile, most] = headDim > 64
    ? [2, lanes > 8 ? 16 : 32]
    : [Number(variantOf(device, "attention_texture queries", maxQueries / lanes)), 16];
  const { queries, specialise, loops } = unrolledFor(device, args, tile, most);
  using keys = device.stage(k, "staged keys");
  using values = k === v ? null : device.stage(v, "staged values");
  launchAttention(device, args, {
    kernel: textureKernel,
    queries,
    k: keys,
    v: values ?? keys,
    specialise: { ...specialise, KV: `texture_storage_2d<${keys.format}, read>` },
    functions: unrolled(...loops),
  });
}

/** Constants for `tile` queries per lane and pieces of at most `most` vec4s, and the arguments of {@link unrolled}. */
function unrolledFor(device: Device, { headDim }: AttentionArgs, tile: number, most: number) {
  const lanes = device.capabilities.subgroupSize;
  const { piece, pieces } = piecesOf(headDim / 4, most);
  return {
    queries: tile * lanes,
    specialise: { LANES: lanes, TILE: tile, PIECE: piece, PIECES: pieces },
    loops: [lanes, tile, piece, pieces] as const,
  };
}

/** All prelude lines where keys and values are in buffers. */
const bufferLines = memoised((
  dtype: keyof typeof LOAD_F32,
  ...loops: Parameters<typeof unrolled>
): string => `${LOAD_F32[dtype].functions}\n${unrolled(...loops)}`);

/** Splits a head into pieces of at most `most` vec4s, all but the last full. */
function piecesOf(vectors: number, most: number): { piece: number; pieces: number } {
  const pieces = Math.ceil(vectors / most);
  return { piece: Math.ceil(vectors / pieces), pieces };
}

/** The loops over queries, keys and channels: the arrays they index stay in registers only under constant indices. */
const unrolled: (lanes: number, tile: number, piece: number, pieces: number) => string = memoised(
  (lanes, tile, piece, pieces) => {
    const width = piece * pieces;
    const queries = (line: (i: number) => string) => repeat(tile, line);
    const logits = (line: (n: number) => string) => repeat(tile * lanes, line);
    // moves an array down by one, so that a loop over channels always finds its own at the start of a query
    const shift = (array: string) =>
      queries((i) =>
        repeat(width - 1, (d) => `${array}[${i * width + d}] = ${array}[${i * width + d + 1}];`)
      );
    // rotates the pieces, so that a loop over pieces always finds its own at the start
    const turn = (array: string) =>
      queries((i) =>
        repeat(piece, (d) => {
          const at = (p: number) => `${array}[${i * width + p * piece + d}]`;
          const moves = repeat(pieces - 1, (p) => `${at(p)} = ${at(p + 1)};`);
          return `{ let x = ${at(0)}; ${moves} ${at(pieces - 1)} = x; }`;
        })
      );
    const overPieces = (body: string, array: string) =>
      pieces === 1
        ? `let piece = 0u;\n  ${body}`
        : `for (var piece = 0u; piece < PIECES; piece++) {\n  ${body}\n  ${turn(array)}\n  }`;
    const over = (load: string, line: (i: number, j: number, d: number) => string) =>
      repeat(
        piece,
        (d) =>
          `{ let x = ${load}(piece * PIECE + ${d}); ${
            repeat(lanes, (j) =>
              `{ let b = subgroupShuffle(x, ${j}u); ${queries((i) => line(i, j, d))} }`)
          } }`,
        "\n  ",
      );
    const score = (i: number, j: number, d: number) =>
      `s[${i * lanes + j}] = score(own[${i * width + d}], b, s[${i * lanes + j}]);`;
    const weigh = (i: number, j: number, d: number) =>
      `acc[${i * width + d}] = fma(vec4(s[${i * lanes + j}]), b, acc[${i * width + d}]);`;
    // a loop over keys, where a shuffle takes any lane: the logits of a query rotate, so that each comes first once
    const looped = `${repeat(piece, (d) => `let x${d} = load_k(piece * PIECE + ${d});`)}
  for (var j = 0u; j < LANES; j++) {
  ${queries((i) => `var t${i} = s[${i * lanes}];`)}
  ${
      repeat(piece, (d) =>
        `{ let b = subgroupShuffle(x${d}, j); ${
          queries((i) =>
            `t${i} = score(own[${i * width + d}], b, t${i});`
          )
        } }`)
    }
  ${
      queries((i) =>
        `${repeat(lanes - 1, (j) => `s[${i * lanes + j}] = s[${i * lanes + j + 1}];`)} s[${
          (i + 1) * lanes - 1
        }] = t${i};`
      )
    }
  }`;
    const softmax = (i: number) => {
      const own = (line: (at: string) => string) =>
        repeat(lanes, (j) => line(`s[${i * lanes + j}]`));
      return `{ var m = maxima[${i}]; ${own((at) => `m = max(m, ${at});`)}
    let keep = exp(maxima[${i}] - m); maxima[${i}] = m; sum[${i}] *= keep;
    ${own((at) => `${at} = exp(${at} - m); sum[${i}] += ${at};`)}
    ${repeat(width, (d) => `acc[${i * width + d}] *= keep;`)} }`;
    };
    return `
fn keep_queries(d: u32) {
  ${shift("own")} ${queries((i) => `own[${(i + 1) * width - 1}] = load_query(${i}, d);`)}
}
fn reset_maxima() { ${queries((i) => `maxima[${i}] = LOWEST;`)} }
fn reset_logits() { ${
      repeat(lanes, (j) => `{ let x = start(${j}); ${queries((i) => `s[${i * lanes + j}] = x;`)} }`)
    } }
fn score_all() {
  ${overPieces(lanes === ANY_LANE ? looped : over("load_k", score), "own")}
}
fn bias_all() { ${logits((n) => `s[${n}] += bias(${Math.floor(n / lanes)}, ${n % lanes});`)} }
fn softmax_all() {
  ${queries(softmax)}
}
fn weigh_all() {
  ${overPieces(over("load_v", weigh), "acc")}
}
fn divide_all() { ${
      queries((i) =>
        `{ let by = inverse(sum[${i}]); ${repeat(width, (d) => `acc[${i * width + d}] *= by;`)} }`
      )
    } }
fn store_all(d: u32) { ${queries((i) => `store(${i}, d, acc[${i * width}]);`)} ${shift("acc")} }`;
  },
);
