import { KernelError, type Tensor } from "../../../../engine/mod.ts";
import { attention } from "../../../../kernels/attention/attention.ts";
import { attentionBackward } from "../../../../kernels/attention/attention_backward.ts";
import type { SpanLayout } from "../../../../kernels/attention/attention_spans.ts";
import { qkvRope } from "../../../../kernels/attention/qkv_rope.ts";
import { qkvRopeBackward } from "../../../../kernels/attention/qkv_rope_backward.ts";
import type { FloatType } from "../../../../kernels/linear/weight_types.ts";
import type { Tape } from "../../tape/tape.ts";
import type { Variable } from "../../tape/variable.ts";

/** How {@link selfAttention} attends. */
export interface SelfAttentionOptions {
  /** Which rows attend to which: every row is in a span. The caller keeps it until the tape is unwound. */
  readonly layout: SpanLayout;
  /** Number of heads. */
  readonly heads: number;
  /** Number of sequences, all of the same number of rows. */
  readonly batch: number;
  /** Tables [positions, headDim / 2] f32 from the first row of a sequence on. The caller keeps them, too. */
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  /** Logarithms of each head's scale, [heads] in any shape; null if attention is not cosine attention. */
  readonly scaleMul: Variable | null;
}

/**
 * The transformer's self-attention between its two projections, of qkv [batch · rows, 3C] (`SelfAttention.forward` of
 * infinity/models/basic.py): q and k are normalised and scaled with `scaleMul`, rotated by RoPE, and attend; returns
 * [batch · rows, C].
 *
 * @throws {KernelError} `bad-shape`: shapes disagree, or a row is in no span.
 */
export function selfAttention(
  tape: Tape,
  qkv: Variable,
  { layout, heads, batch, rope, scaleMul }: SelfAttentionOptions,
): Variable {
  const { device } = tape;
  const [rows = 0, width = 0] = qkv.value.shape;
  const C = width / 3, headDim = C / heads;
  const { byQueries, byKeys, scoreCount } = layout;
  if (byQueries.covered !== rows || byKeys.covered !== rows || rows % batch || headDim % 1) {
    throw new KernelError(
      "bad-shape",
      `Cannot attend with qkv [${qkv.value.shape}] of ${batch} sequences and ${heads} heads: ` +
        `${byQueries.covered} queries and ${byKeys.covered} keys are in spans`,
    );
  }
  const dtype = qkv.value.dtype as FloatType;
  const [q, k] = [tape.output([rows, C], "q", dtype), tape.output([rows, C], "k", dtype)];
  const y = tape.output([rows, C], "attended");
  const split = {
    ...{ qkv: qkv.value, rope, scaleMul: scaleMul?.value ?? null },
    ...{ batch, rows: rows / batch, heads, headDim, ropeStart: 0 },
  };
  qkvRope(device, { ...split, q, kCache: k, vCache: null, cacheStart: 0 });
  // v is read from qkv
  const attended = {
    ...{ q, k, v: qkv.value, vStride: width, vOffset: 2 * C, heads, headDim },
    scale: scaleMul ? 1 : 1 / Math.sqrt(headDim),
  };
  attention(device, {
    ...{ ...attended, y, spans: byQueries.spans, scoreCount },
    ...{ maxQueries: byQueries.own, maxKeys: byQueries.others },
  });
  const inputs = [qkv, ...scaleMul ? [scaleMul] : []];
  return tape.record(y, inputs, (dy) => {
    const dqkv = qkv.gradient;
    if (!dqkv) return;
    using dq = device.tensor("f32", [rows, C], "gradient of q");
    using dkv = device.tensor("f32", [rows, 2 * C], "gradients of k and v");
    attentionBackward(device, {
      ...{ ...attended, layout, dy, dk: null, dv: null, dkv },
      dq: { tensor: dq, add: false },
    });
    qkvRopeBackward(device, { ...split, dq, dkv, dqkv, dScaleMul: scaleMul?.gradient ?? null });
  }, [q, k]);
}
