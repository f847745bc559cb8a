/** Cases of kernels/attention. */

import { attention, type AttentionVariant } from "../../kernels/attention/attention.ts";
import { attentionMatrices } from "../../kernels/attention/attention_matrix.ts";
import { onePass } from "../../kernels/attention/attention_one_pass.ts";
import { qkvRope } from "../../kernels/attention/qkv_rope.ts";
import { fitsTiles } from "../../kernels/attention/attention_tiles.ts";
import * as rope from "../kernels/attention/qkv_rope_cases.ts";
import {
  type Case as Attended,
  reference,
  type Span,
  spansTensor,
} from "../kernels/attention/attention_cases.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import { GPU_ONLY } from "./linear.ts";
import { type Case, conversions, type Float, type Op, plain } from "./op.ts";

const { class: adapter, implementation, subgroupSize } = device.capabilities;

/** A way to attend: how it is forced, why not here, and the widths of heads that it is tried with. */
interface Way extends Pick<Op, "runs" | "choices" | "obstacle"> {
  readonly name: string;
  readonly variant: AttentionVariant;
  readonly widths: readonly number[];
  /** Whether operands are rounded to f16. */
  readonly rounds?: boolean;
}

const CPU_ONLY = adapter !== "cpu"
  ? "only software adapters use it"
  // Dawn refuses shuffles in a loop whose length it cannot prove uniform
  : implementation !== "wgpu" || !subgroupSize
  ? "no subgroups of a fixed size"
  : null;
/** Widths of heads: of the models and others, but few where a software adapter takes seconds to compile each. */
const REAL = !device.capabilities.adapter.includes("llvmpipe") && adapter === "gpu";
const widths = (...few: number[]) => REAL ? [...few, 32, 64, 128] : few;

const WAYS: readonly Way[] = [
  {
    name: "workgroup",
    variant: "workgroup",
    runs: ["attention_workgroup"],
    choices: { attention: "workgroup" },
    obstacle: null,
    widths: widths(4, 36, 132),
  },
  ...["64", "128"].map((queries): Way => ({
    name: `tiles ${queries}`,
    variant: "tiles",
    runs: ["attention_tiles"],
    choices: { attention: "tiles", "attention_tiles queries": queries },
    obstacle: GPU_ONLY ?? (fitsTiles(device, 36) ? null : "too little workgroup memory"),
    widths: widths(36).filter((width) => fitsTiles(device, width)),
  })),
  {
    name: "subgroup",
    variant: "subgroup",
    runs: ["attention_subgroup"],
    choices: { "attention operands": "subgroup" },
    obstacle: CPU_ONLY,
    widths: [32, 36, 132],
  },
  ...["2", "4"].map((queries): Way => ({
    name: `texture ${queries}`,
    variant: "texture",
    runs: ["attention_texture"],
    choices: { "attention operands": "texture", "attention_texture queries": queries },
    obstacle: CPU_ONLY,
    widths: [32, 36, 132],
  })),
  ...(["two-pass", "one-pass"] as const).map((variant): Way => ({
    name: variant,
    variant,
    runs: [variant === "two-pass" ? "attention_matrix" : "attention_one_pass"],
    choices: { "attention matrix": variant },
    obstacle: GPU_ONLY ??
      ((variant === "two-pass" ? attentionMatrices : onePass)(device, 36)
        ? null
        : "no subgroup matrices of f16"),
    widths: widths(36),
    rounds: true,
  })),
];

export const ATTENTION: readonly Op[] = [
  ...WAYS.flatMap((way) =>
    conversions((from, to) => {
      const rounding = way.rounds ? "f16" : to;
      const op = plain("attention", `${from}→${to}`, rounding, (draw) =>
        attended(draw, way, from, to));
      return {
        ...op,
        variant: way.name,
        runs: way.runs,
        ...way.choices && { choices: way.choices },
        obstacle: way.obstacle ?? op.obstacle,
        special: {
          "values too large for f16": (draw) =>
            largeValues(draw, way, from, to),
          "score ties in long runs": (draw) =>
            ties(draw, way, from, to),
        },
      };
    })
  ),
  ...conversions((from, to) => ({
    ...plain(
      "qkv_rope",
      `${from}→${to}`,
      to === "f16" || from === "f16" ? "f16" : "f32",
      (draw) => split(draw, from, to),
    ),
    special: { "too large for f16": () => largeRope(from, to) },
  })),
];

function attended(draw: Draw, way: Way, from: Float, to: Float): Case {
  const headDim = draw.option(way.widths), heads = draw.int(1, 3), C = heads * headDim;
  // one span to three, one after the other, with gaps that nothing may write to
  const spans: Span[] = [];
  let rows = draw.int(0, 2), keys = draw.int(0, 2);
  const most = Math.max(4, Math.floor(2500 / C));
  for (let n = draw.int(1, 3); n > 0; n--) {
    const queries = draw.size(draw.odds(0.1) ? 4 * most : most, 8);
    const own = draw.odds(0.05) ? 0 : draw.size(draw.odds(0.2) ? 400 : 90, 32);
    spans.push([rows, queries, keys, own]);
    rows += queries + draw.int(0, 2);
    keys += own + draw.int(0, 2);
  }
  const biased = draw.option([true, false, false]);
  // in one tensor, as in the text encoder, or each in its own
  const joint = draw.odds(0.3);
  if (joint) rows = keys = Math.max(rows, keys, 1);
  keys = Math.max(keys, 1);
  // cosine attention has queries of up to 100 and keys of length 1
  const sharp = draw.of([1, 3, 30]) / Math.sqrt(headDim);
  const dtype = way.rounds ? "f16" : from;
  const [q, k, v] = [rows, keys, keys].map((n) => draw.values(n * C, dtype)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  v.set(draw.factors(v, rows * C));
  const far = draw.int(1, 40), buckets = draw.int(1, 9);
  const table = draw.values(buckets * heads, "f32", 4);
  const bucketOf = Array.from({ length: 2 * far + 1 }, (_, i) => i * 3 % buckets);
  const tensor = poisoned(to, [rows, C]);
  const all = joint
    ? upload(
      from,
      [rows, 3 * C],
      Float64Array.from({ length: rows * 3 * C }, (_, i) => {
        const at = Math.floor(i / 3 / C) * C + i % C;
        return [q, k, v][Math.floor(i / C) % 3]![at]!;
      }),
    )
    : null;
  const strides = { qStride: 3 * C, kStride: 3 * C, kOffset: C, vStride: 3 * C, vOffset: 2 * C };
  const maxKeys = Math.max(...spans.map(([, , , n]) => n));
  attention(device, {
    q: all ?? upload(from, [rows, C], q),
    k: all ?? upload(from, [keys, C], k),
    v: all ?? upload(from, [keys, C], v),
    ...joint && strides,
    y: tensor,
    spans: spansTensor(spans),
    maxQueries: Math.max(...spans.map(([, n]) => n)),
    ...draw.odds(0.5) && { maxKeys },
    heads,
    headDim,
    scale: sharp,
    variant: way.variant,
    ...biased && {
      bias: {
        table: upload("f32", [buckets, heads], table),
        bucketOf: upload("u32", [bucketOf.length], bucketOf),
        centre: far,
      },
    },
  });
  const at = (row: number) => row * C;
  const case_: Attended = {
    ...{ q, k, v, qAt: at, kAt: at, vAt: at, rows, heads, headDim, spans, scale: sharp },
    ...biased && {
      bias: (distance: number, h: number) =>
        table[bucketOf[Math.min(Math.max(far + distance, 0), 2 * far)]! * heads + h]!,
    },
  };
  return {
    shape: `${heads} heads of ${headDim}, spans ${JSON.stringify(spans)}, scale ${sharp}` +
      `${biased ? ", bias" : ""}${joint ? ", joint" : ""}`,
    outputs: [{ tensor, expected: reference(case_) }],
  };
}

/** Attends by q and k of `rows` to v, on one head of 36. */
function one(
  way: Way,
  from: Float,
  to: Float,
  { q, k, v, scale }: { q: Float64Array; k: Float64Array; v: Float64Array; scale: number },
) {
  const headDim = 36, rows = q.length / headDim, keys = k.length / headDim;
  const tensor = poisoned(to, [rows, headDim]);
  const spans: Span[] = [[0, rows, 0, keys]];
  attention(device, {
    q: upload(from, [rows, headDim], q),
    k: upload(from, [keys, headDim], k),
    v: upload(from, [keys, headDim], v),
    y: tensor,
    spans: spansTensor(spans),
    maxQueries: rows,
    heads: 1,
    headDim,
    scale,
    variant: way.variant,
  });
  return tensor;
}

/** Values near the largest of f16, or beyond, that all keys share: averages are that value again. */
function largeValues(draw: Draw, way: Way, from: Float, to: Float): Case {
  const large = from === "f16" ? 65504 : 1e6;
  const q = draw.values(5 * 36, "f16"), k = draw.values(70 * 36, "f16");
  const v = Float64Array.from({ length: 70 * 36 }, (_, i) => i % 2 ? -large : large);
  const tensor = one(way, from, to, { q, k, v, scale: 1 / 6 });
  const most = way.rounds || to === "f16" ? 65504 : large;
  const expected = Float64Array.from({ length: 5 * 36 }, (_, i) => i % 2 ? -most : most);
  return { shape: `values of ±${large}`, outputs: [{ tensor, expected, exact: to === "f16" }] };
}

/** All keys are the same: every weight ties, over many steps of keys. */
function ties(draw: Draw, way: Way, from: Float, to: Float): Case {
  const keys = 1500, key = draw.values(36, "f16");
  const q = draw.values(3 * 36, "f16"), v = draw.values(keys * 36, "f16");
  const k = Float64Array.from({ length: keys * 36 }, (_, i) => key[i % 36]!);
  // 1 + v, whose mean is not the small difference of large terms
  v.forEach((x, i) => v[i] = Math.f16round(1 + x));
  const tensor = one(way, from, to, { q, k, v, scale: 1 });
  const expected = Float64Array.from({ length: 3 * 36 }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < keys; j++) sum += v[j * 36 + i % 36]!;
    return sum / keys;
  });
  return { shape: `${keys} equal keys`, outputs: [{ tensor, expected }] };
}

/** Rows of caches that belong to a call, and NaN around them. */
function inCache(rows: Float64Array, c: rope.Case): Float64Array {
  const C = c.heads * c.headDim;
  const cache = new Float64Array(c.batch * c.cacheRows * C).fill(NaN);
  for (let b = 0; b < c.batch; b++) {
    const own = rows.subarray(b * c.rows * C, (b + 1) * c.rows * C);
    cache.set(own, (b * c.cacheRows + c.cacheStart) * C);
  }
  return cache;
}

function split(draw: Draw, from: Float, to: Float): Case {
  const headDim = draw.option([4, 8, 32, 36, 64, 104, 128, 256]), rows = draw.size(20);
  const cacheStart = draw.int(0, 5);
  const c: rope.Case = {
    batch: draw.int(1, 3),
    rows,
    heads: draw.int(1, 4),
    headDim,
    cosine: draw.odds(0.7),
    dtype: from,
    cacheDtype: to,
    cacheRows: cacheStart + rows + draw.int(0, 4),
    cacheStart,
    ropeStart: draw.int(0, 9),
  };
  const built = rope.build(draw.int(0, 2 ** 31), c);
  const { q, kCache, vCache } = built.args;
  qkvRope(device, built.args);
  const expected = rope.reference(c, built);
  return {
    shape: JSON.stringify(c),
    outputs: [
      { tensor: q, expected: expected.q },
      { tensor: kCache, expected: inCache(expected.k, c) },
      { tensor: vCache, expected: inCache(expected.v, c) },
    ],
  };
}

/** Not normalised, and turned by nothing: q, k and v as they are, as far as f16 holds them. */
function largeRope(from: Float, to: Float): Case {
  const large = from === "f16" ? 65504 : 1e6;
  const q = poisoned(from, [1, 4]), k = poisoned(to, [1, 1, 4]), v = poisoned(to, [1, 1, 4]);
  const qkv = [large, -large, 1, NaN, large, -large, 2, NaN, large, -large, 3, Infinity];
  qkvRope(device, {
    qkv: upload(from, [1, 12], qkv),
    q,
    kCache: k,
    vCache: v,
    rope: { cos: upload("f32", [1, 2], [1, 1]), sin: upload("f32", [1, 2], [0, 0]) },
    scaleMul: null,
    batch: 1,
    rows: 1,
    heads: 1,
    headDim: 4,
    ropeStart: 0,
    cacheStart: 0,
  });
  const kept = (dtype: Float) => dtype === "f16" ? 65504 : large;
  const [own, most] = [kept(from), kept(to)];
  return {
    shape: `${qkv}`,
    outputs: [
      // NaN spreads to the other half of its pair: 0 · NaN
      { tensor: q, expected: [own, -own, NaN, NaN], exact: true },
      { tensor: k, expected: [most, -most, NaN, NaN], exact: true },
      { tensor: v, expected: [most, -most, 3, Infinity], exact: true },
    ],
  };
}
