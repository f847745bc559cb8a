import { memoised } from "../../engine/mod.ts";
import { ANY_LANE } from "../linear/linear.ts";

/** Splits a head into pieces of at most `most` vec4s, all but the last full. */
export function piecesOf(vectors: number, most: number): { piece: number; pieces: number } {
  const pieces = Math.ceil(vectors / most);
  return { piece: Math.ceil(vectors / pieces), pieces };
}

function repeat(count: number, line: (i: number) => string, separator: string = " "): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(separator);
}

/** attention_subgroup.wgsl's loops over queries, keys and channels, which index arrays by constants only. */
export const unrolled: (lanes: number, tile: number, piece: number, pieces: number) => string =
  memoised((lanes, tile, piece, pieces) => {
    const width = piece * pieces;
    const queries = (line: (i: number) => string) => repeat(tile, line);
    const logits = (line: (n: number) => string) => repeat(tile * lanes, line);
    // all of an array move one place down, so that a loop over channels finds each in the first place of its query
    const shift = (array: string) =>
      queries((i) =>
        repeat(width - 1, (d) => `${array}[${i * width + d}] = ${array}[${i * width + d + 1}];`)
      );
    // pieces take turns in the first place of their array
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
    // a loop over keys, where shuffles allow it: each logit takes its turn in the first place of its query
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
    const soften = (i: number) => {
      const own = (line: (at: string) => string) =>
        repeat(lanes, (j) => line(`s[${i * lanes + j}]`));
      return `{ var m = most[${i}]; ${own((at) => `m = max(m, ${at});`)}
    let keep = exp(most[${i}] - m); most[${i}] = m; sum[${i}] *= keep;
    ${own((at) => `${at} = exp(${at} - m); sum[${i}] += ${at};`)}
    ${repeat(width, (d) => `acc[${i * width + d}] *= keep;`)} }`;
    };
    return `
fn keep_queries(d: u32) {
  ${shift("own")} ${queries((i) => `own[${(i + 1) * width - 1}] = load_query(${i}, d);`)}
}
fn begin_all() { ${queries((i) => `most[${i}] = LOWEST;`)} }
fn clear_all() { ${
      repeat(lanes, (j) => `{ let x = start(${j}); ${queries((i) => `s[${i * lanes + j}] = x;`)} }`)
    } }
fn score_all() {
  ${overPieces(lanes === ANY_LANE ? looped : over("load_k", score), "own")}
}
fn bias_all() { ${logits((n) => `s[${n}] += bias(${Math.floor(n / lanes)}, ${n % lanes});`)} }
fn soften_all() {
  ${queries(soften)}
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
  });
