import { KernelError, type Tensor } from "../../../../engine/mod.ts";
import { attention as attend } from "../../../../kernels/attention/attention.ts";
import { attentionBackward } from "../../../../kernels/attention/attention_backward.ts";
import type { SpanLayout } from "../../../../kernels/attention/attention_spans.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** How {@link attention} attends. */
export interface AttentionOptions {
  /** Which rows attend to which: every query and key is in a span. The caller keeps it until the tape is unwound. */
  readonly layout: SpanLayout;
  /** Number of heads. */
  readonly heads: number;
  /** Multiplies q · k. */
  readonly scale: number;
  /** T5's relative bias: its table [buckets, heads], the bucket of each distance, and where the distance 0 is. */
  readonly bias?: { readonly table: Variable; readonly bucketOf: Tensor; readonly centre: number };
}

/**
 * softmax(scale · q · kᵀ + bias) · v, per head and span, [queries, C] of the type of activations. The same variable
 * given as q, k and v holds all three in rows [3C]; given as k and v, both in rows [2C].
 *
 * @throws {KernelError} `bad-shape`: widths disagree, or a query or a key is in no span.
 */
export function attention(
  tape: Tape,
  q: Variable,
  k: Variable,
  v: Variable,
  { layout, heads, scale, bias }: AttentionOptions,
): Variable {
  const { device } = tape;
  const [queries = 0, qStride = 0] = q.value.shape;
  const [keys = 0, kStride = 0] = k.value.shape;
  const [, vStride = 0] = v.value.shape;
  const C = q === k ? qStride / 3 : qStride;
  const kOffset = q === k ? C : 0;
  const vOffset = k === v ? kOffset + C : 0;
  const fits = vStride === vOffset + C && kStride === (k === v ? vStride : C) &&
    Number.isInteger(C / heads) && layout.byQueries.covered === queries &&
    layout.byKeys.covered === keys;
  if (!fits) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend from q [${q.value.shape}] to k [${k.value.shape}] and v [${v.value.shape}]: ` +
        `${heads} heads, ${layout.byQueries.covered} queries and ${layout.byKeys.covered} keys in spans`,
    );
  }
  const args = {
    ...{ q: q.value, k: k.value, v: v.value, heads, headDim: C / heads, scale },
    ...{ qStride, kStride, kOffset, vStride, vOffset },
    ...bias && { bias: { ...bias, table: bias.table.value } },
  };
  const y = tape.output([queries, C], "attended");
  const { byQueries: { spans, own, others }, scoreCount } = layout;
  attend(device, { ...args, y, spans, maxQueries: own, maxKeys: others, scoreCount });
  return tape.record(y, [q, k, v, ...bias ? [bias.table] : []], (dy) => {
    const dq = q.gradient;
    const dk = k === q ? dq : k.gradient;
    const dv = v === k ? dk : v.gradient;
    const dTable = bias?.table.gradient ?? null;
    attentionBackward(device, { ...args, layout, dy, dq, dk, dv, dTable });
  });
}
