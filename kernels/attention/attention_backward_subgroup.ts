/**
 * The sums of attention's backward pass where a workgroup is one subgroup, see attention_backward_subgroup.wgsl.
 *
 * @module
 */

import { type Device, memoised, type Tensor } from "../../engine/mod.ts";
import { ANY_LANE, textureTexels } from "../shared/textures.ts";
import { repeat } from "../shared/unroll.ts";
import {
  type AttentionBackwardArgs,
  defineSums,
  launchSums,
  type Operands,
  type SumsArgs,
} from "./attention_backward_launch.ts";
import source from "./attention_backward_subgroup.wgsl" with { type: "text" };

const kernel = defineSums("attention_backward_subgroup", source);

/** Wider heads would take software adapters minutes to compile. */
const WIDEST = 128;

/** Whether the variant runs here: on a software adapter. */
export function hasSubgroups({ capabilities }: Device): boolean {
  const { class: adapter, implementation, subgroups, subgroupSize } = capabilities;
  // Dawn refuses shuffles in a loop whose length it cannot prove uniform
  return adapter === "cpu" && implementation === "wgpu" && subgroups && subgroupSize > 0;
}

/** Whether heads are narrow enough to compile, and textures hold all rows. */
export function fitsSubgroups(device: Device, args: AttentionBackwardArgs): boolean {
  const { q, k, v, dy, headDim } = args;
  return headDim <= WIDEST &&
    [q, k, v, dy].every(({ elements }) => elements / 4 <= textureTexels(device));
}

/** Copies rows to textures: a tensor that holds several operands once. */
export function stageOperands(device: Device, args: AttentionBackwardArgs): Operands & Disposable {
  const { q, k, v, dy } = args;
  const operands = [...new Set([q, k, v, dy])];
  const staged = device.allOrNothing(() =>
    new Map(operands.map((tensor) => [tensor, device.stage(tensor, "staged rows")]))
  );
  const of = (tensor: Tensor) => staged.get(tensor)!;
  return {
    ...{ q: of(q), k: of(k), v: of(v), dy: of(dy) },
    [Symbol.dispose]() {
      for (const texture of staged.values()) texture.dispose();
    },
  };
}

/** The variant `subgroup`. */
export function attentionBackwardSubgroup(device: Device, args: SumsArgs): void {
  const { headDim, keys } = args;
  const lanes = device.capabilities.subgroupSize;
  const { tile, piece, pieces } = cutOf(lanes, headDim / 4);
  launchSums(device, args, {
    kernel,
    own: tile * lanes,
    specialise: { LANES: lanes, TILE: tile, PIECE: piece, PIECES: pieces },
    functions: unrolled(lanes, tile, piece, pieces, keys),
  });
}

/** Rows of a lane, and the pieces of a head: code for more takes long to compile, and spills registers. */
function cutOf(lanes: number, vectors: number) {
  const wide = vectors > 16;
  const tile = wide || lanes > ANY_LANE ? 1 : 2;
  // with a loop over lanes there is little code, and turning pieces would take as long as the rest
  const most = lanes === ANY_LANE ? WIDEST / 4 : wide ? Math.max(1, 64 / lanes) : 16;
  const pieces = Math.ceil(vectors / most);
  return { tile, piece: Math.ceil(vectors / pieces), pieces };
}

/** The loops over rows and channels: the arrays they index stay in registers only under constant indices. */
const unrolled = memoised((
  lanes: number,
  tile: number,
  piece: number,
  pieces: number,
  keys: boolean,
): string => {
  const width = piece * pieces;
  const rows = (line: (i: number) => string) => repeat(tile, line, " ");
  const logits = (line: (i: number, j: number) => string) =>
    rows((i) => repeat(lanes, (j) => line(i, j), " "));
  // rotates the pieces of arrays of `count` rows, so that a loop over pieces always finds its own at the start
  const turn = (count: number, array: string) =>
    repeat(count * piece, (n) => {
      const at = (p: number) =>
        `${array}[${Math.floor(n / piece) * width + p * piece + n % piece}]`;
      const moves = repeat(pieces - 1, (p) => `${at(p)} = ${at(p + 1)};`, " ");
      return `{ let x = ${at(0)}; ${moves} ${at(pieces - 1)} = x; }`;
    }, " ");
  const overPieces = (body: string, ...arrays: [count: number, name: string][]) =>
    pieces === 1 ? body : `for (var piece = 0u; piece < PIECES; piece++) {
${body}
${arrays.map(([count, name]) => turn(count, name)).join("\n")}
}`;
  const both = [["s", "x"], ["g", "y"]] as const;
  // the logits of a row rotate, so that each comes first once; products have four sums, which do not wait for another
  const looped = `for (var j = 0u; j < LANES; j++) {
${
    both.map(([sum, side]) =>
      `${rows((i) => `var ${sum}${i} = vec4<f32>();`)}
${
        repeat(piece, (d) =>
          `{ let b = subgroupShuffle(other_${side}s[${d}], j); ${
            rows((i) => `${sum}${i} = fma(own_${side}s[${i * width + d}], b, ${sum}${i});`)
          } }`)
      }
${
        rows((i) =>
          `{ let t = ${sum}[${
            i * lanes
          }] + (${sum}${i}.x + ${sum}${i}.y + ${sum}${i}.z + ${sum}${i}.w); ${
            repeat(
              lanes - 1,
              (j) => `${sum}[${i * lanes + j}] = ${sum}[${i * lanes + j + 1}];`,
              " ",
            )
          } ${sum}[${(i + 1) * lanes - 1}] = t; }`
        )
      }`
    ).join("\n")
  }
}`;
  const score = both.map(([sum, side]) =>
    repeat(
      piece,
      (d) =>
        repeat(lanes, (j) =>
          `{ let b = subgroupShuffle(other_${side}s[${d}], ${j}u); ${
            rows((i) => {
              const at = `${sum}[${i * lanes + j}]`;
              return `${at} = dot4(own_${side}s[${i * width + d}], b, ${at});`;
            })
          } }`),
    )
  ).join("\n");
  const softmax = (i: number) => {
    const own = (line: (s: string, g: string) => string) =>
      repeat(lanes, (j) => line(`s[${i * lanes + j}]`, `g[${i * lanes + j}]`), " ");
    return `{ var m = maxima[${i}]; ${own((s) => `m = max(m, ${s});`)}
let keep = exp(maxima[${i}] - m); maxima[${i}] = m; total[${i}] *= keep; mean[${i}] *= keep;
${own((s, g) => `${s} = exp(${s} - m); total[${i}] += ${s}; ${g} *= ${s}; mean[${i}] += ${g};`)}
${
      repeat(width, (d) =>
        `sum_g[${i * width + d}] *= keep; sum_s[${i * width + d}] *= keep;`, " ")
    } }`;
  };
  const weigh = `let stat = stats[other_row(lane) * params.heads + head];
${
    repeat(lanes, (j) =>
      `{ let log_sum = subgroupShuffle(stat.x, ${j}u); let d = subgroupShuffle(stat.y, ${j}u); ${
        rows((i) => {
          const [s, g] = [`s[${i * lanes + j}]`, `g[${i * lanes + j}]`];
          return `${s} = exp(${s} - log_sum); ${g} = ${s} * (${g} - d);`;
        })
      } }`)
  }`;
  const add = (sum: string, weight: string, i: number, j: number, d: number, x: string) => {
    const at = `${sum}[${i * width + d}]`;
    return `${at} = fma(vec4(${weight}[${i * lanes + j}]), ${x}, ${at});`;
  };
  const sum = repeat(
    piece,
    (d) =>
      repeat(
        lanes,
        (j) =>
          `{ let b = subgroupShuffle(other_xs[${d}], ${j}u); ${
            keys ? `let c = subgroupShuffle(other_ys[${d}], ${j}u);` : "let c = b;"
          } ${
            rows((i) => `${add("sum_g", "g", i, j, d, "b")} ${add("sum_s", "s", i, j, d, "c")}`)
          } }`,
      ),
  );
  const others: [number, string][] = [[1, "other_xs"], [1, "other_ys"]];
  return `
fn keep_own() {
${
    rows((i) =>
      repeat(width, (d) =>
        `own_xs[${i * width + d}] = load_own_x(${i}, ${d}); own_ys[${
          i * width + d
        }] = load_own_y(${i}, ${d});`)
    )
  }
}
fn reset_rows() { ${
    rows((i) => `maxima[${i}] = LOWEST; starts[${i}] = first_other(${i} * LANES + lane);`)
  } }
fn load_others() {
${repeat(width, (d) => `other_xs[${d}] = load_other_x(${d}); other_ys[${d}] = load_other_y(${d});`)}
}
fn reset_logits() { ${
    logits((i, j) => `s[${i * lanes + j}] = start(${j}); g[${i * lanes + j}] = 0.0;`)
  } }
fn score_all() {
${overPieces(lanes === ANY_LANE ? looped : score, [tile, "own_xs"], [tile, "own_ys"], ...others)}
}
fn bias_all() {
${logits((i, j) => `s[${i * lanes + j}] += bias(first + ${i} * LANES + lane, step + ${j});`)}
}
fn hide_all() {
${logits((i, j) => `s[${i * lanes + j}] = seen(${i}, ${j}, s[${i * lanes + j}]);`)}
}
fn weigh_all() {
${keys ? weigh : rows(softmax)}
}
fn sum_all() {
${overPieces(sum, [tile, "sum_g"], [tile, "sum_s"], ...others)}
}
fn store_all(part: u32) {
${
    rows((i) =>
      repeat(width, (d) => {
        const [x, y] = [`sum_g[${i * width + d}]`, `sum_s[${i * width + d}]`];
        return keys
          ? `store(part, ${i}, ${d}, params.scale * ${x}, ${y});`
          : `store(part, ${i}, ${d}, params.scale * total[${i}] * (${x} - mean[${i}] * ${y}), vec4<f32>());`;
      })
    )
  }
}`;
});
