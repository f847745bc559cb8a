/** Cases of the backward passes of kernels/attention. */

import {
  attentionBackward,
  type AttentionBackwardVariant,
} from "../../kernels/attention/attention_backward.ts";
import { backwardMatrices } from "../../kernels/attention/attention_backward_matrix.ts";
import { hasSubgroups } from "../../kernels/attention/attention_backward_subgroup.ts";
import { qkvRopeBackward } from "../../kernels/attention/qkv_rope_backward.ts";
import { build, scales } from "../kernels/attention/attention_backward_cases.ts";
import type { Span } from "../kernels/attention/attention_cases.ts";
import * as rope from "../kernels/attention/qkv_rope_cases.ts";
import { device } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import { type Case, conversions, type Float, type Op, plain } from "./op.ts";

const VARIANTS: readonly AttentionBackwardVariant[] = ["tiles", "subgroup", "matrix"];

export const ATTENTION_BACKWARD: readonly Op[] = [
  ...VARIANTS.flatMap((variant) =>
    conversions((from, to): Op => {
      const rounding = variant === "matrix" || from === "f16" || to === "f16" ? "f16" : "f32";
      const op = plain("attention_backward", `${from}→${to}`, rounding, (draw) =>
        sentBack(draw, variant, from, to));
      return {
        ...op,
        variant,
        runs: [
          `attention_backward_${variant}`,
          "attention_backward_sum",
          "attention_backward_biases",
          "attention_backward_diagonals",
          "attention_backward_table",
        ],
        ...variant !== "subgroup" && { choices: { "attention backward": variant } },
        obstacle: obstacleOf(variant) ?? op.obstacle,
        special: {
          "a bias": (draw) =>
            biased(draw, variant, from),
          "parts of queries": (draw) =>
            made(draw, variant, from, to, 1, 36, [[0, 1100, 0, 3], [1100, 700, 3, 66]]),
        },
      };
    })
  ),
  ...conversions((from, to): Op => ({
    ...plain(
      "qkv_rope_backward",
      `${from}→${to}`,
      from === "f16" || to === "f16" ? "f16" : "f32",
      (draw) => rotatedBack(draw, from, to),
    ),
  })),
];

/** Why a variant does not run here; null if it does. */
function obstacleOf(variant: AttentionBackwardVariant): string | null {
  if (variant === "subgroup" && !hasSubgroups(device)) return "only lavapipe uses it";
  return variant === "matrix" && !backwardMatrices(device, 36) ? "no tensor cores" : null;
}

/** One span to three, one after the other, or a few sequences of scales. */
function sentBack(draw: Draw, variant: AttentionBackwardVariant, from: Float, to: Float): Case {
  // lavapipe takes half a minute to compile matrices of a wide head
  const widths = variant === "matrix" ? [20, 4] : [36, 4, 64, variant === "tiles" ? 132 : 100];
  const headDim = draw.option(widths), heads = draw.int(1, 3);
  if (draw.odds(0.3)) {
    const tokens = Array.from({ length: draw.int(1, 4) }, () => draw.size(40));
    return made(draw, variant, from, to, heads, headDim, scales(draw.int(1, 2), tokens));
  }
  const spans: Span[] = [];
  let rows = 0, keys = 0;
  for (let n = draw.int(1, 3); n > 0; n--) {
    const [queries, own] = [draw.size(70), draw.size(90, 32)];
    spans.push([rows, queries, keys, own]);
    rows += queries;
    keys += own;
  }
  return made(draw, variant, from, to, heads, headDim, spans);
}

function biased(draw: Draw, variant: AttentionBackwardVariant, dtype: Float): Case {
  const spans: Span[] = [[0, 19, 0, 19], [19, 1, 19, 1]];
  return made(draw, variant, dtype, dtype, 2, 36, spans, { packed: "qkv", buckets: 3 });
}

function made(
  draw: Draw,
  variant: AttentionBackwardVariant,
  dtype: Float,
  kv: Float,
  heads: number,
  headDim: number,
  spans: readonly Span[],
  more: { packed?: "qkv"; buckets?: number } = {},
): Case {
  const shape = { heads, headDim, spans, dtype, kv, add: draw.odds(0.5), ...more };
  const { args, expected } = build(draw.int(0, 2 ** 31), shape);
  attentionBackward(device, { ...args, variant });
  return { shape: JSON.stringify(shape), outputs: expected };
}

function rotatedBack(draw: Draw, dtype: Float, cacheDtype: Float): Case {
  const c: rope.Case = {
    batch: draw.int(1, 3),
    rows: draw.size(20),
    heads: draw.int(1, 4),
    headDim: draw.option([4, 8, 32, 36, 64, 104, 128, 256]),
    cosine: draw.odds(0.7),
    dtype,
    cacheDtype,
    cacheRows: 0,
    cacheStart: 0,
    ropeStart: draw.int(0, 9),
  };
  const { args, expected } = rope.buildBackward(
    draw.int(0, 2 ** 31),
    { ...c, cacheRows: c.rows },
    draw.odds(0.5),
  );
  qkvRopeBackward(device, args);
  const outputs = [{ tensor: args.dqkv.tensor, expected: expected.qkv }];
  const { dScaleMul } = args;
  if (dScaleMul) outputs.push({ tensor: dScaleMul.tensor, expected: expected.scaleMul });
  return { shape: JSON.stringify(c), outputs };
}
