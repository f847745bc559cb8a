import type { Tensor } from "../../../engine/mod.ts";
import type { SpanLayout } from "../../../kernels/attention/attention_spans.ts";
import type { TransformerConfig } from "../../config/types.ts";
import { activation } from "../ops/activation.ts";
import { attention } from "../ops/attention/attention.ts";
import { selfAttention } from "../ops/attention/self_attention.ts";
import { adaVectors } from "../ops/transformer/ada_vectors.ts";
import { addGated } from "../ops/transformer/add_gated.ts";
import { layerNorm } from "../ops/transformer/layer_norm.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import { layer, type Layers } from "./layers.ts";

/** AdaLN's vectors in the order in which `ada_gss` stores them. */
const ADA = { gamma1: 0, gamma2: 1, scale1: 2, scale2: 3, shift1: 4, shift2: 5 } as const;

/** What all blocks of a batch share. */
export interface Condition {
  /** The pooled text, [B, C] f32. */
  readonly pooled: Variable;
  /** Output of `shared_ada_lin`, [B, 6·C] f32. */
  readonly shared: Variable;
  /** Scale and shift of the head's norm, [B, 2·C] f32. */
  readonly headAda: Variable;
  /** What cross-attention makes keys and values of, [ΣT, C]. */
  readonly text: Variable;
  /** Text tokens of each image. */
  readonly lens: readonly number[];
}

/** Which tokens attend to which. */
export interface Attended {
  /** Each scale to itself and those before it. */
  readonly self: SpanLayout;
  /** Each image to its text. */
  readonly cross: SpanLayout;
  /** Rotations of all tokens of an image. */
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
}

/**
 * One block of the transformer (`CrossAttnBlock` in infinity/models/basic.py) over whole sequences, as
 * model/transformer/block.ts runs it scale by scale:
 *
 *     x += gamma1 · SelfAttention(AdaLN(x; scale1, shift1))
 *     x += ca_gamma · CrossAttention(LayerNorm(x), text)
 *     x += gamma2 · FeedForward(AdaLN(x; scale2, shift2))
 *
 * @param key The block's prefix in the checkpoint.
 * @param x Residual stream [B·L, C] f32.
 */
export function block(
  tape: Tape,
  layers: Layers,
  config: TransformerConfig,
  key: string,
  x: Variable,
  { shared, text }: Condition,
  { self, cross, rope }: Attended,
): Variable {
  const { embed_dim: C, num_heads: heads, norm_eps: eps } = config;
  const at = (name: string) => layers.get(`${key}.${name}`);
  const through = (name: string, input: Variable, bias?: readonly (Variable | number)[]) =>
    layer(tape, layers, input, `${key}.${name}`, bias);
  const vectors = adaVectors(tape, shared, at("ada_gss"));
  const batch = shared.value.shape[0]!;

  let h = layerNorm(tape, x, { eps, ada: { vectors, scale: ADA.scale1, shift: ADA.shift1 } });
  const qkv = through("sa.mat_qkv", h, [at("sa.q_bias"), C, at("sa.v_bias")]);
  const scaleMul = config.cos_attn ? at("sa.scale_mul_1H11") : null;
  h = selfAttention(tape, qkv, { layout: self, heads, batch, rope, scaleMul });
  x = addGated(tape, x, through("sa.proj", h), { vectors, index: ADA.gamma1 });

  h = layerNorm(tape, x, { eps, weight: at("ca_norm.weight"), bias: at("ca_norm.bias") });
  const queries = through("ca.mat_q", h);
  const keysValues = through("ca.mat_kv", text, [C, at("ca.v_bias")]);
  h = attention(tape, queries, keysValues, keysValues, {
    layout: cross,
    heads,
    scale: 1 / Math.sqrt(C / heads),
  });
  const gain = config.cross_attn_layer_scale >= 0 ? { vectors: at("ca_gamma") } : undefined;
  x = addGated(tape, x, through("ca.proj", h), gain);

  h = layerNorm(tape, x, { eps, ada: { vectors, scale: ADA.scale2, shift: ADA.shift2 } });
  h = activation(tape, through("ffn.fc1", h), "gelu");
  return addGated(tape, x, through("ffn.fc2", h), { vectors, index: ADA.gamma2 });
}
