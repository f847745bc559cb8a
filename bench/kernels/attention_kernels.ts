/** Rows of the backward passes of attention. */

import { attentionBackward } from "../../kernels/attention/attention_backward.ts";
import { type Span, spanLayout } from "../../kernels/attention/attention_spans.ts";
import { qkvRopeBackward } from "../../kernels/attention/qkv_rope_backward.ts";
import type { Row } from "./row.ts";

/** Tokens of the scales of a small model. */
const SCALES = [1, 4, 9, 16, 36, 64];

/** Sequences of all scales, each of which attends to itself and to all before it. */
function teacherForced(batch: number): Span[] {
  const rows = SCALES.reduce((sum, n) => sum + n, 0);
  return Array.from({ length: batch }, (_, b) => {
    let keys = 0;
    return SCALES.map((n): Span => [b * rows + (keys += n) - n, n, b * rows, keys]);
  }).flat();
}

function attentionBackwardRow(shape: string, heads: number, spans: readonly Span[]): Row {
  return {
    name: "attention_backward",
    shape,
    setup(device, t) {
      const headDim = 64;
      const layout = spanLayout(device, spans);
      t.defer(() => layout.dispose());
      const rows = (count: number) => t.f32(count, heads * headDim);
      const { byQueries, byKeys, scoreCount } = layout;
      const [q, dy, dq] = [rows(byQueries.rows), rows(byQueries.rows), rows(byQueries.rows)];
      const [k, v, dk, dv] = Array.from({ length: 4 }, () => rows(byKeys.rows));
      const to = (tensor: typeof q) => ({ tensor, add: false });
      const args = {
        ...{ q, k: k!, v: v!, dy, layout, heads, headDim, scale: 1 / 8 },
        ...{ dq: to(dq), dk: to(dk!), dv: to(dv!) },
      };
      // five products: logits, dy · v, and the sums that are dq, dk and dv
      const flops = 10 * heads * headDim * scoreCount;
      return { run: () => attentionBackward(device, args), flops };
    },
  };
}

/** Like the rows of kernels.ts: those of teacher forcing, of its cross-attention, and of a long sequence. */
export const ATTENTION_ROWS: readonly Row[] = [
  attentionBackwardRow("32x 4 heads, 130 tokens, hd 64", 4, teacherForced(32)),
  attentionBackwardRow(
    "32x 4 heads, 130 q, 12 k, hd 64",
    4,
    Array.from({ length: 32 }, (_, b): Span => [b * 130, 130, b * 12, 12]),
  ),
  attentionBackwardRow("8 heads, 256 q, 1024 k, hd 64", 8, [[0, 256, 0, 1024]]),
  {
    name: "qkv_rope_backward",
    shape: "32x 130 rows, 4 heads, hd 64",
    setup(device, t) {
      const [batch, rows, heads, headDim] = [32, 130, 4, 64];
      const [qkv, gradient] = [t.f32(batch * rows, 768), t.f32(batch * rows, 768)];
      const [dq, dkv, own] = [t.f32(batch * rows, 256), t.f32(batch * rows, 512), t.f32(heads)];
      const args = {
        ...{ qkv, dq, dkv, batch, rows, heads, headDim, ropeStart: 0 },
        rope: { cos: t.f32(rows, 32), sin: t.f32(rows, 32) },
        scaleMul: t.f32(heads),
        dqkv: { tensor: gradient, add: false },
        dScaleMul: { tensor: own, add: true },
      };
      // of qkv, v is not read
      return { run: () => qkvRopeBackward(device, args), bytes: 8 * dq.byteLength };
    },
  },
];
