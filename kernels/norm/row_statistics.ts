/**
 * WGSL of the statistics of a row.
 *
 * @module
 */

import source from "./row_statistics.wgsl" with { type: "text" };
import { acrossLines, type LayerNormVariant, totalLines } from "./row_totals.ts";
import { repeat } from "../shared/unroll.ts";

/** WGSL for each V that an invocation holds, as `v0`, `v1` … of a Held; `at` is its place in the row. */
export function unroll(
  held: number,
  line: (value: string, at: string) => string,
  separator = " ",
): string {
  return repeat(held, (i) => line(`v${i}`, `c + ${i} * WG`), separator);
}

/** WGSL of row_statistics.wgsl with its own prelude; `pairs` as in {@link totalLines}. */
export function statisticsLines(
  vec4: boolean,
  held: number,
  variant: LayerNormVariant,
  lanes: number,
  pairs = false,
): string {
  return `
${acrossLines(vec4)}
${totalLines(variant, lanes, pairs)}
struct Held { ${unroll(held, (v) => `${v}: V,`)} }
fn load_x(row: Row, c: u32) -> Held { return Held(${
    unroll(held, (_, at) => `at_x(row, ${at})`, ", ")
  }); }
fn sum_held(h: Held) -> V { return ${unroll(held, (v) => `h.${v}`, " + ")}; }
fn squares_held(row: Row, c: u32, h: Held) -> V { return ${
    unroll(held, (v, at) => `square(row, ${at}, h.${v})`, " + ")
  }; }
${source}`;
}
