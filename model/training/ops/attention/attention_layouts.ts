import type { Device } from "../../../../engine/mod.ts";
import {
  type Span,
  type SpanLayout,
  spanLayout,
} from "../../../../kernels/attention/attention_spans.ts";

/**
 * The self-attention of `batch` sequences of scales of so many `tokens` each: teacher forcing, where each scale attends
 * to itself and to all before it (`attn_bias_for_masking` in infinity/models/infinity.py).
 */
export function scalesLayout(device: Device, batch: number, tokens: readonly number[]): SpanLayout {
  const rows = tokens.reduce((sum, n) => sum + n, 0);
  const spans: Span[] = [];
  for (let first = 0; first < batch * rows; first += rows) {
    let keys = 0;
    for (const n of tokens) {
      keys += n;
      spans.push([first + keys - n, n, first, keys]);
    }
  }
  return spanLayout(device, spans);
}

/**
 * The cross-attention of sequences of `rows` queries each to texts of `lens` tokens, packed: `rows` is 1 for the
 * attentive pooling of texts.
 */
export function crossLayout(device: Device, rows: number, lens: readonly number[]): SpanLayout {
  let key = 0;
  return spanLayout(device, lens.map((n, i): Span => [i * rows, rows, (key += n) - n, n]));
}

/** The self-attention of texts of `lens` tokens, packed, of which each attends to itself alone. */
export function textLayout(device: Device, lens: readonly number[]): SpanLayout {
  let first = 0;
  return spanLayout(device, lens.map((n): Span => [first, n, (first += n) - n, n]));
}
