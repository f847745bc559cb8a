import type { Tensor } from "../../engine/mod.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { silu } from "../../kernels/elementwise/silu.ts";
import type { Linear } from "../../kernels/linear/linear.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { adaVectors } from "../../kernels/norm/ada_vectors.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { TransformerConfig } from "../config/types.ts";
import type { TransformerWeights } from "./transformer_weights.ts";

/** The text side of a batch: computed once, read by every block at every scale. */
export interface TextContext {
  /** Attentively pooled text [B, C]: the condition of AdaLN, and the start token. */
  readonly pooled: Tensor;
  /** AdaLN's six vectors of each block [depth, B, 6·C]. */
  readonly ada: Tensor;
  /** Scale and shift of the head's norm [B, 2·C]. */
  readonly headAda: Tensor;
  /** Keys and values of each block's cross-attention [ΣT, 2·C]. */
  readonly crossKv: readonly Tensor[];
  /** Text tokens of each image. */
  readonly lens: readonly number[];
  /** Frees the tensors. */
  dispose(): void;
}

/** Returns a function that disposes all of them. */
export function disposer(tensors: Iterable<Tensor>): () => void {
  return () => {
    for (const tensor of tensors) tensor.dispose();
  };
}

/**
 * Computes the text side of a batch from features [ΣT, Ct5], `lens` tokens for each image.
 *
 * @throws {OutOfMemoryError} keeping what it allocated: call it inside `device.allOrNothing`.
 */
export function textContext(
  owner: Weights,
  weights: TransformerWeights,
  config: TransformerConfig,
  features: Tensor,
  lens: readonly number[],
): TextContext {
  const { device } = owner;
  const linear = (x: Tensor, layer: Linear, epilogue: "none" | "gelu" = "none"): Tensor => {
    const y = device.tensor("f32", [x.elements / layer.K, layer.N]);
    matmul(device, { x, linear: layer, y, epilogue });
    return y;
  };
  const { embed_dim: C, depth, norm_eps: eps, text_attn_pool_heads: heads } = config;
  const B = lens.length;
  const normed = device.tensor("f32", features.shape);
  layerNorm(device, { x: features, y: normed, eps, rms: true, weight: weights.textNorm });

  const { pool } = weights;
  const inner = heads * pool.headDim;
  const kv = linear(normed, pool.kv);
  const queries = device.tensor("f32", [B, inner]);
  const zeros = device.from("u32", [B], new Uint32Array(B));
  embedding(device, { ids: zeros, table: pool.query.reshape(1, inner), y: queries });
  const starts = lens.map((_, i) => lens.slice(0, i).reduce((sum, n) => sum + n, 0));
  const spans = device.from(
    "u32",
    [B, 4],
    Uint32Array.from(lens.flatMap((n, i) => [i, 1, starts[i]!, n])),
  );
  const attended = device.tensor("f32", [B, inner]);
  attention(device, {
    q: queries,
    k: kv,
    v: kv,
    y: attended,
    spans,
    maxQueries: 1,
    scoreCount: lens.reduce((sum, n) => sum + n, 0),
    heads,
    headDim: pool.headDim,
    scale: 1 / Math.sqrt(C / heads),
    kStride: 2 * inner,
    vStride: 2 * inner,
    vOffset: inner,
  });
  const pooled = linear(attended, pool.proj);

  const activated = device.tensor("f32", [B, C]);
  silu(device, { x: pooled, y: activated });
  const shared = linear(activated, weights.sharedAda);
  const ada = device.tensor("f32", [depth, B, 6 * C], "AdaLN vectors");
  adaVectors(device, { shared, adaGss: weights.adaGss, y: ada });
  const headAda = linear(activated, weights.headAda);

  const hidden = linear(normed, weights.textProj[0], "gelu");
  const projected = linear(hidden, weights.textProj[1]);
  const crossKv = weights.blocks.map((block) => {
    const y = device.tensor(
      owner.dtype,
      [projected.shape[0]!, 2 * C],
      "cross-attention cache",
      "cache",
    );
    matmul(device, { x: projected, linear: block.crossKv, y });
    return y;
  });
  const temporary = [normed, kv, queries, zeros, spans, attended, activated, shared, hidden];
  for (const t of [...temporary, projected]) t.dispose();
  const dispose = disposer([pooled, ada, headAda, ...crossKv]);
  return { pooled, ada, headAda, crossKv, lens, dispose };
}
