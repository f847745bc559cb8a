/** Cases of kernels/tokens. */

import { addLevel } from "../../kernels/tokens/add_level.ts";
import { chooseRows } from "../../kernels/tokens/choose_rows.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import { embeddingBackward } from "../../kernels/tokens/embedding_backward.ts";
import { Lookups } from "../../kernels/tokens/lookups.ts";
import { tokenInput } from "../../kernels/tokens/token_input.ts";
import { tokenInputBackward } from "../../kernels/tokens/token_input_backward.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import * as reference from "../kernels/tokens/references.ts";
import type { Draw } from "./draw.ts";
import { place } from "./place.ts";
import { type Case, conversions, type Float, FLOATS, type Op, plain } from "./op.ts";

/** From each type to each; what is stored as f16 but was f32 rounds, and saturates. */
const copies = (
  kernel: string,
  make: (draw: Draw, from: Float, to: Float) => Case,
  large: (x: readonly number[], from: Float, to: Float) => Case,
) =>
  conversions((from, to) => {
    const rounding = from === "f32" && to === "f16" ? "f16" : "exact";
    const most = from === "f16" ? 65504 : 1e6;
    return {
      ...plain(kernel, `${from}→${to}`, rounding, (draw) => make(draw, from, to)),
      special: {
        "too large for f16, and not numbers": () =>
          large([most, -most, NaN, Infinity, -Infinity, 65504, 1, 0], from, to),
      },
    };
  });

/** Numbers of `from` as `to` holds them. */
const stored = (x: readonly number[], to: Float) =>
  to === "f32" ? x : x.map((v) => Number.isFinite(v) ? Math.max(-65504, Math.min(65504, v)) : v);

/** Below this, exact numbers may be lost where types differ. */
const flushed = (from: Float, to: Float) => from === to ? 0 : 2 ** -14;

export const TOKENS: readonly Op[] = [
  plain("add_level", "f32", "f32", leveled),
  ...copies("copy_rows", copied, (x, from, to) => {
    const y = poisoned(to, [1, 2, 8]);
    copyRows(device, { x: upload(from, [1, 1, 8], x), y, rows: 1 });
    const untouched = new Array<number>(8).fill(NaN);
    return {
      shape: `${x}`,
      outputs: [{ tensor: y, expected: [...stored(x, to), ...untouched], exact: true }],
    };
  }),
  ...copies("embedding", embedded, (x, from, to) => {
    const y = poisoned(to, [1, 8]);
    const ids = upload("u32", [1], [0]);
    embedding(device, { ids, table: upload(from, [1, 8], x), y });
    return { shape: `${x}`, outputs: [{ tensor: y, expected: stored(x, to), exact: true }] };
  }),
  ...conversions((from, to) =>
    plain("choose_rows", `${from}→${to}`, to, (draw) => chosen(draw, from, to))
  ),
  ...conversions((from, to) =>
    plain("embedding_backward", `${from}→${to}`, to, (draw) => embeddedBackward(draw, from, to))
  ),
  ...FLOATS.map((dtype) => plain("token_input", dtype, "f32", (draw) => tokens(draw, dtype))),
  ...FLOATS.map((dtype) =>
    plain("token_input_backward", dtype, dtype, (draw) => tokensBackward(draw, dtype))
  ),
];

function leveled(draw: Draw) {
  const B = draw.size(3), L = draw.size(60), C = draw.multiple(4, 64), levels = draw.int(1, 15);
  const table = draw.values(levels * C), before = draw.values(B * L * C);
  const level = Uint32Array.from({ length: L }, () => draw.int(0, levels - 1));
  const tensor = upload("f32", [B, L, C], before);
  addLevel(device, {
    table: upload("f32", [levels, C], table),
    level: upload("u32", [L], level),
    y: tensor,
  });
  return {
    shape: `[${B}, ${L}, ${C}], ${levels} levels`,
    outputs: [{ tensor, expected: reference.addLevel(before, table, level, C) }],
  };
}

function copied(draw: Draw, dtype: Float, to: Float) {
  const B = draw.size(3), C = draw.multiple(4, 64), xRows = draw.size(40), yRows = draw.size(40);
  const rows = draw.int(1, Math.min(xRows, yRows));
  const x = draw.values(B * xRows * C, dtype);
  const before = new Float64Array(B * yRows * C).fill(NaN);
  const tensor = poisoned(to, [B, yRows, C]);
  copyRows(device, { x: upload(dtype, [B, xRows, C], x), y: tensor, rows });
  return {
    shape: `${rows} rows of [${B}, ${xRows}, ${C}] to [${B}, ${yRows}, ${C}]`,
    outputs: [{
      tensor,
      expected: reference.copyRows(x, before, { from: xRows, to: yRows, rows, C }),
      flushed: flushed(dtype, to),
    }],
  };
}

function embedded(draw: Draw, from: Float, to: Float) {
  const T = draw.size(70), V = draw.size(300), C = draw.size(130);
  const first = draw.of([0, 0, 5]), last = first + V;
  const table = draw.values(V * C, from);
  // some ids are outside the table: their rows must stay
  const ids = Array.from({ length: T }, () => draw.odds(0.1) ? last + 7 : draw.int(0, last));
  const tensor = poisoned(to, [T, C]);
  embedding(device, {
    ids: upload("u32", [T], ids),
    table: upload(from, [V, C], table),
    first,
    y: tensor,
  });
  const before = new Float64Array(T * C).fill(NaN);
  return {
    shape: `[${T}] of [${V}, ${C}] from ${first}`,
    outputs: [{
      tensor,
      expected: reference.embedding(ids, table, before, { C, first }),
      flushed: flushed(from, to),
    }],
  };
}

function tokens(draw: Draw, dtype: Float) {
  const C = draw.multiple(4, 64), images = draw.int(1, 3), skip = draw.int(0, 1);
  const B = images * draw.int(1, 2), L = skip + (skip && draw.odds(0.2) ? 0 : draw.size(40));
  const words = L > skip ? draw.values(images * (L - skip) * C, dtype) : null;
  const [pooled, position, table] = [draw.values(B * C), draw.values(C), draw.values(5 * C)];
  const level = Uint32Array.from({ length: L }, () => draw.int(0, 4));
  const tensor = poisoned("f32", [B, L, C]);
  tokenInput(device, {
    start: skip
      ? { pooled: upload("f32", [B, C], pooled), position: upload("f32", [C], position) }
      : null,
    words: words && upload(dtype, [images, L - skip, C], words),
    table: upload("f32", [5, C], table),
    level: upload("u32", [L], level),
    y: tensor,
  });
  const sizes = { B, L, C, images, skip };
  return {
    shape: JSON.stringify(sizes),
    outputs: [{
      tensor,
      expected: reference.tokenInput({ ...sizes, pooled, position, words, table, level }),
    }],
  };
}

function chosen(draw: Draw, from: Float, to: Float) {
  const T = draw.size(70), rows = draw.size(30), C = draw.size(130), add = draw.odds(0.5);
  const ids = Array.from({ length: T }, () => draw.odds(0.5) ? 2 ** 32 - 1 : draw.int(0, rows));
  const x = draw.values(T * C, from), table = draw.odds(0.7) ? draw.values(rows * C, to) : null;
  const { gradient, output } = place(draw, to, T * C, add);
  chooseRows(device, {
    x: upload(from, [T, C], x),
    ids: upload("u32", [T], ids),
    rows,
    table: table && upload(to, [rows, C], table),
    y: gradient,
  });
  const expected = reference.chooseRows(x, ids, table ?? new Float64Array(rows * C), C);
  return { shape: `[${T}] of [${rows}, ${C}], add ${add}`, outputs: [output(expected)] };
}

function embeddedBackward(draw: Draw, from: Float, to: Float) {
  const T = draw.size(draw.odds(0.2) ? 1000 : 70), C = draw.size(Math.min(130, 60000 / T));
  const V = draw.size(300), add = draw.odds(0.5);
  // some ids are outside the table: their rows go nowhere
  const ids = Array.from({ length: T }, () => draw.odds(0.1) ? V + 7 : draw.int(0, V));
  const dy = draw.factors(draw.values(T * C, from), V * C);
  const { gradient, output } = place(draw, to, V * C, add);
  using lookups = new Lookups(device, ids, V);
  embeddingBackward(device, { dy: upload(from, [T, C], dy), lookups, dtable: gradient });
  const expected = reference.embeddingBackward(ids, dy, C, V);
  return { shape: `[${T}] of [${V}, ${C}], add ${add}`, outputs: [output(expected)] };
}

function tokensBackward(draw: Draw, dtype: Float) {
  const B = draw.size(6), L = 1 + draw.size(90), C = draw.multiple(4, 64), levels = draw.int(1, 15);
  const level = Array.from({ length: L }, () => draw.int(0, levels - 1)), add = draw.odds(0.5);
  const dy = draw.factors(draw.values(B * L * C), C);
  const pooled = place(draw, dtype, B * C, add), position = place(draw, "f32", C, add);
  const words = place(draw, dtype, B * (L - 1) * C, add);
  const table = place(draw, "f32", levels * C, add);
  using lookups = new Lookups(device, level, levels);
  tokenInputBackward(device, {
    dy: upload("f32", [B, L, C], dy),
    levels: lookups,
    dpooled: pooled.gradient,
    dposition: position.gradient,
    dwords: words.gradient,
    dtable: table.gradient,
  });
  const expected = reference.tokenInputBackward(dy, level, { B, L, C, levels });
  return {
    shape: `[${B}, ${L}, ${C}], ${levels} levels, add ${add}`,
    outputs: [
      pooled.output(expected.pooled),
      position.output(expected.position),
      words.output(expected.words),
      table.output(expected.table),
    ],
  };
}
