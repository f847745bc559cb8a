import type { TransformerConfig } from "../../config/types.ts";
import type { Plan } from "./plan.ts";

/** Floating-point operations of one scale in the transformer, all images; a multiply-add counts as two. */
export interface ScaleFlops {
  /** Sequences: images, twice as many with an unconditional half. */
  readonly batch: number;
  /** Linear layers: blocks, `word_embed` and head. */
  readonly linear: number;
  /** Self-attention: scores and weighted sums. */
  readonly selfAttention: number;
  /** Cross-attention: scores and weighted sums. */
  readonly crossAttention: number;
}

/** The part of a plan that decides the amount of work. */
export type Work = Pick<
  Plan,
  "images" | "schedule" | "guidedScales" | "cachedScales" | "restoredFrom"
>;

/**
 * Counts the transformer's floating-point operations by scale. Leaves out norms, softmax, resizing and everything done
 * once per prompt (text side, AdaLN, keys and values of cross-attention).
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
    // sa.mat_qkv, sa.proj, ca.mat_q and ca.proj, then ffn.fc1 and ffn.fc2
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
