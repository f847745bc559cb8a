import type { Device, Tensor } from "../../engine/mod.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { activate } from "../../kernels/elementwise/activate.ts";
import type { Linear } from "../../kernels/linear/linear.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import type { FloatType } from "../../kernels/linear/weight_types.ts";
import { adaVectors } from "../../kernels/norm/ada_vectors.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { offsets } from "../config/offsets.ts";
import { TEXT_TOKENS } from "../config/text_tokens.ts";
import type { TransformerConfig } from "../config/types.ts";
import type { PoolWeights } from "./pool_weights.ts";
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
 * @throws {OutOfMemoryError} Without freeing what it allocated: call it inside `device.allOrNothing`.
 */
export function textContext(
  owner: Weights,
  weights: TransformerWeights,
  config: TransformerConfig,
  features: Tensor,
  lens: readonly number[],
): TextContext {
  const { device } = owner;
  const { embed_dim: C, depth, norm_eps: eps } = config;
  const B = lens.length;
  const dtype = owner.activations;
  using normed = device.tensor(dtype, features.shape);
  layerNorm(device, { x: features, y: normed, eps, rms: true, weight: weights.textNorm });
  const pooled = poolText(owner, weights.pool, config, normed, lens);

  using activated = device.tensor("f32", [B, C]);
  activate(device, { x: pooled, y: activated, kind: "silu" });
  using shared = linear(device, activated, weights.sharedAda, "f32", 1);
  const ada = device.tensor("f32", [depth, B, 6 * C], "AdaLN vectors");
  adaVectors(device, { shared, adaGss: weights.adaGss, y: ada });
  const headAda = linear(device, activated, weights.headAda, "f32", 1);

  using hidden = linear(device, normed, weights.textProj[0], dtype, TEXT_TOKENS, "gelu");
  using projected = linear(device, hidden, weights.textProj[1], dtype, TEXT_TOKENS);
  const [rows = 0] = projected.shape;
  const crossKv = weights.blocks.map((block) => {
    const y = device.tensor(owner.dtype, [rows, 2 * C], "cross-attention cache", "cache");
    matmul(device, { x: projected, linear: block.crossKv, y, rows: TEXT_TOKENS });
    return y;
  });
  const dispose = disposer([pooled, ada, headAda, ...crossKv]);
  return { pooled, ada, headAda, crossKv, lens, dispose };
}

/** Attentive pooling (`TextAttentivePool`): one learnt query attends to the tokens of each text; returns [B, C]. */
function poolText(
  { device, activations }: Weights,
  pool: PoolWeights,
  { embed_dim: C, text_attn_pool_heads: heads }: TransformerConfig,
  normed: Tensor,
  lens: readonly number[],
): Tensor {
  const B = lens.length;
  const { headDim } = pool;
  const inner = heads * headDim;
  using kv = linear(device, normed, pool.kv, activations, TEXT_TOKENS);
  using queries = device.tensor(activations, [B, inner]);
  using zeros = device.from("u32", [B], new Uint32Array(B));
  embedding(device, { ids: zeros, table: pool.query.reshape(1, inner), y: queries });
  const starts = offsets(lens);
  const rows = lens.flatMap((n, i) => [i, 1, starts[i]!, n]);
  using spans = device.from("u32", [B, 4], Uint32Array.from(rows));
  using attended = device.tensor(activations, [B, inner]);
  attention(device, {
    q: queries,
    k: kv,
    v: kv,
    y: attended,
    spans,
    maxQueries: 1,
    scoreCount: starts[B],
    heads,
    headDim,
    scale: 1 / Math.sqrt(C / heads),
    kStride: 2 * inner,
    vStride: 2 * inner,
    vOffset: inner,
  });
  return linear(device, attended, pool.proj, "f32", 1);
}

/** Applies a linear layer to [.., K], in a new tensor [.., N]. `rows` are those of one sequence. */
function linear(
  device: Device,
  x: Tensor,
  layer: Linear,
  dtype: FloatType,
  rows: number,
  epilogue: "none" | "gelu" = "none",
): Tensor {
  const y = device.tensor(dtype, [x.elements / layer.K, layer.N]);
  matmul(device, { x, linear: layer, y, epilogue, rows });
  return y;
}
