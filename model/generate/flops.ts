import type { TransformerConfig } from "../config/types.ts";
import type { Plan } from "./plan.ts";

/** Arithmetic of one scale in the transformer, all images; a multiplication and an addition are two. */
export interface ScaleFlops {
  /** Sequences: images, twice as many where the unconditional half is computed. */
  readonly batch: number;
  /** Linear layers: blocks, `word_embed` and head. */
  readonly linear: number;
  /** Self-attention: logits and weighted sums. */
  readonly selfAttention: number;
  /** Cross-attention, the same. */
  readonly crossAttention: number;
}

/** What a plan tells of the work. */
export type Work = Pick<
  Plan,
  "images" | "schedule" | "guidedScales" | "cachedScales" | "restoredFrom"
>;

/**
 * Counts what the transformer multiplies and adds, by scale. Norms, softmax, resizing and what is done once per prompt
 * (text side, AdaLN, keys and values of cross-attention) are left out.
 *
 * @param textTokens Tokens of each prompt.
 */
export function transformerFlops(
  { embed_dim: C, ffn_hidden: F, depth, d_vae }: TransformerConfig,
  { images, schedule, guidedScales, cachedScales, restoredFrom }: Work,
  textTokens: number,
): ScaleFlops[] {
  let cached = 0;
  return schedule.map(([h, w], s) => {
    const tokens = h * w;
    const batch = s < guidedScales ? 2 * images : images;
    const rows = batch * tokens;
    const keys = cached + tokens;
    if (s < cachedScales) cached = keys;
    const head = 2 * rows * C * d_vae;
    if (s >= restoredFrom && s < schedule.length - 1) {
      return { batch, linear: head, selfAttention: 0, crossAttention: 0 };
    }
    // qkv, proj, ca.mat_q and ca.proj, then both of the FFN
    const block = 2 * (6 * C * C + 2 * C * F);
    const words = s === 0 ? 0 : 2 * images * tokens * d_vae * C;
    return {
      batch,
      linear: depth * rows * block + words + head,
      selfAttention: depth * 4 * rows * keys * C,
      crossAttention: depth * 4 * rows * textTokens * C,
    };
  });
}
