import type { Device, Tensor } from "../../engine/mod.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { qkvRope } from "../../kernels/attention/qkv_rope.ts";
import type { Gate } from "../../kernels/linear/epilogue.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { layerNorm, type Modulation } from "../../kernels/norm/layer_norm.ts";
import type { TransformerConfig } from "../config/types.ts";
import type { Pass } from "./pass.ts";
import type { Activations, State } from "./state.ts";
import type { TextContext } from "./text_context.ts";
import type { BlockWeights } from "./transformer_weights.ts";

/** AdaLN's vectors in the order in which `ada_gss` stores them, [6, C]. */
const ADA = { gamma1: 0, gamma2: 1, scale1: 2, scale2: 3, shift1: 4, shift2: 5 } as const;

/** What a block works on. */
interface Work {
  readonly pass: Pass;
  readonly text: TextContext;
  readonly state: State;
  readonly activations: Activations;
}

/**
 * One block of the transformer (`CrossAttnBlock` in infinity/models/basic.py):
 *
 *     x += gamma1 · SelfAttention(AdaLN(x; scale1, shift1))
 *     x += ca_gamma · CrossAttention(LayerNorm(x), text)
 *     x += gamma2 · FeedForward(AdaLN(x; scale2, shift2))
 */
export class Block {
  /** Block `index`, counted from 0. */
  constructor(
    private readonly device: Device,
    private readonly config: TransformerConfig,
    private readonly index: number,
    private readonly weights: BlockWeights,
  ) {}

  /** Runs over the residual stream in place. Keys and values of the pass go into the cache. */
  run(pass: Pass, text: TextContext, state: State): void {
    const work = { pass, text, state, activations: state.activations(pass) };
    this.#selfAttention(work);
    this.#crossAttention(work);
    this.#feedForward(work);
  }

  #selfAttention(work: Work): void {
    const { device, weights: { qkv, scaleMul, proj } } = this;
    const { embed_dim: C, num_heads: heads, norm_eps: eps } = this.config;
    const headDim = C / heads;
    const { pass, state, activations: { x, normed, qkv: projected, q, attended } } = work;
    const { k, v } = state.keysValues(this.index, pass);
    layerNorm(device, { x, y: normed, eps, modulation: this.#modulation(work, "1") });
    matmul(device, { x: normed, linear: qkv, y: projected, rows: pass.rows });
    qkvRope(device, {
      qkv: projected,
      q,
      kCache: k,
      vCache: v,
      rope: state.rope,
      scaleMul,
      batch: pass.batch,
      rows: pass.rows,
      heads,
      headDim,
      ropeStart: pass.position,
      cacheStart: pass.start,
    });
    attention(device, {
      q,
      k,
      v,
      y: attended,
      spans: pass.selfSpans,
      maxQueries: pass.maxQueries,
      scoreCount: pass.scores.self,
      heads,
      headDim,
      scale: scaleMul ? 1 : 1 / Math.sqrt(headDim),
    });
    const gate = this.#gate(work, "gamma1");
    matmul(device, { x: attended, linear: proj, y: x, epilogue: "gate", gate, rows: pass.rows });
  }

  #crossAttention({ pass, text, activations: { x, normed, q, attended } }: Work): void {
    const { device, weights: { crossNorm, crossQ, crossProj, crossGamma } } = this;
    const { embed_dim: C, num_heads: heads, norm_eps: eps } = this.config;
    const keysValues = text.crossKv[this.index]!;
    layerNorm(device, { x, y: normed, eps, ...crossNorm });
    matmul(device, { x: normed, linear: crossQ, y: q, rows: pass.rows });
    attention(device, {
      q,
      k: keysValues,
      v: keysValues,
      y: attended,
      spans: pass.crossSpans,
      maxQueries: pass.rows,
      maxKeys: pass.maxText,
      scoreCount: pass.scores.cross,
      heads,
      headDim: C / heads,
      scale: 1 / Math.sqrt(C / heads),
      kStride: 2 * C,
      vStride: 2 * C,
      vOffset: C,
    });
    matmul(device, {
      x: attended,
      linear: crossProj,
      y: x,
      rows: pass.rows,
      ...addScaled(crossGamma),
    });
  }

  #feedForward(work: Work): void {
    const { device, weights: { fc1, fc2 }, config: { norm_eps: eps } } = this;
    const { pass: { rows }, activations: { x, normed, hidden } } = work;
    layerNorm(device, { x, y: normed, eps, modulation: this.#modulation(work, "2") });
    matmul(device, { x: normed, linear: fc1, y: hidden, epilogue: "gelu", rows });
    const gate = this.#gate(work, "gamma2");
    matmul(device, { x: hidden, linear: fc2, y: x, epilogue: "gate", gate, rows });
  }

  /** AdaLN's gate of a half, [B, C] inside `text.ada` [depth, B, 6C]. */
  #gate({ pass, text }: Work, vector: "gamma1" | "gamma2"): Gate {
    const stride = 6 * this.config.embed_dim;
    return { tensor: text.ada, offset: this.#ada(text, vector), stride, rows: pass.rows };
  }

  /** AdaLN's scale and shift of a half, [B, C] each inside `text.ada` [depth, B, 6C]. */
  #modulation({ pass, text }: Work, half: "1" | "2"): Modulation {
    return {
      tensor: text.ada,
      scaleOffset: this.#ada(text, `scale${half}`),
      shiftOffset: this.#ada(text, `shift${half}`),
      stride: 6 * this.config.embed_dim,
      rows: pass.rows,
    };
  }

  /** Elements of `text.ada` before a vector of this block. */
  #ada({ lens }: TextContext, vector: keyof typeof ADA): number {
    return (this.index * lens.length * 6 + ADA[vector]) * this.config.embed_dim;
  }
}

/** y += gamma · value, or y += value without a gamma [C]. */
function addScaled(gamma: Tensor | null) {
  if (!gamma) return { epilogue: "add" } as const;
  return { epilogue: "gate", gate: { tensor: gamma, offset: 0, stride: 0, rows: 1 } } as const;
}
