import type { Device, Tensor } from "../../../engine/mod.ts";
import { Lookups } from "../../../kernels/tokens/lookups.ts";
import { blockKey } from "../../checkpoint/tensor_shapes.ts";
import type { Grid } from "../../config/grid.ts";
import type { TransformerConfig } from "../../config/types.ts";
import { ropeTables } from "../../transformer/rope.ts";
import { activation } from "../ops/activation.ts";
import { attention } from "../ops/attention/attention.ts";
import { crossLayout, scalesLayout } from "../ops/attention/attention_layouts.ts";
import { linear } from "../ops/linear.ts";
import { conditionDropout, droppedRows } from "../ops/transformer/condition_dropout.ts";
import { embedding } from "../ops/transformer/embedding.ts";
import { headDifference } from "../ops/transformer/head_difference.ts";
import { layerNorm } from "../ops/transformer/layer_norm.ts";
import { addLevel, tokenInput } from "../ops/transformer/token_input.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import { type Attended, block, type Condition } from "./block.ts";
import { layer, type Layers } from "./layers.ts";

/** What sequences a {@link TransformerNetwork} works on. */
export interface SequenceOptions {
  /** Token grids of the scales that are trained: all of a schedule, or the first ones. */
  readonly schedule: readonly Grid[];
  /** Last scale of the longest schedule of this shape, see `ropeTables`. */
  readonly referenceGrid: Grid;
  /** Whether blocks are computed again in the backward pass; false if absent. */
  readonly recompute?: boolean;
}

/**
 * The Infinity transformer over whole sequences of scales (`forward` in infinity/models/infinity.py): teacher forcing.
 * What depends on shapes alone is made once.
 */
export class TransformerNetwork {
  readonly #rope: Attended["rope"];
  /** Scale of each token. */
  readonly #levels: Lookups;
  readonly #tokens: readonly number[];

  /** Prepares for sequences of a schedule. */
  constructor(
    device: Device,
    private readonly config: TransformerConfig,
    private readonly layers: Layers,
    private readonly options: SequenceOptions,
  ) {
    const { schedule, referenceGrid } = options;
    this.#tokens = schedule.map(([h, w]) => h * w);
    const { embed_dim: C, num_heads, rope: { mode, base } } = config;
    const { cos, sin, rows, width } = ropeTables(
      schedule,
      referenceGrid,
      C / num_heads,
      mode,
      base,
    );
    const level = this.#tokens.flatMap((n, s) => Array<number>(n).fill(s));
    const made = device.allOrNothing(() => ({
      cos: device.from("f32", [rows, width], cos, "RoPE"),
      sin: device.from("f32", [rows, width], sin, "RoPE"),
      levels: new Lookups(device, level, config.lvl_embed_rows),
    }));
    this.#rope = made;
    this.#levels = made.levels;
  }

  /**
   * Computes the text side of a batch.
   *
   * @param features Text features [ΣT, Ct5] f32.
   * @param lens Tokens of each text.
   * @param dropped Images that are learnt without their text; none if absent.
   */
  condition(
    tape: Tape,
    features: Variable,
    lens: readonly number[],
    dropped?: readonly boolean[],
  ): Condition {
    const { config, layers } = this;
    if (dropped?.includes(true)) {
      const rows = droppedRows(lens, dropped);
      const lookups = tape.keep(new Lookups(tape.device, rows, config.text_maxlen));
      features = conditionDropout(tape, features, layers.get("cfg_uncond"), lookups);
    }
    const { norm_eps: eps, text_attn_pool_heads: heads, embed_dim: C } = config;
    const weight = layers.get("text_norm.weight");
    const normed = layerNorm(tape, features, { eps, rms: true, weight });

    const name = "text_proj_for_sos.ca";
    const bias = [C, layers.get(`${name}.v_bias`)];
    const keysValues = layer(tape, layers, normed, `${name}.mat_kv`, bias);
    const query = layers.get(`${name}.mat_q`).reshape(1, C);
    const zeros = tape.keep(new Lookups(tape.device, lens.map(() => 0), 1));
    const queries = embedding(tape, query, zeros);
    const pooling = tape.keep(crossLayout(tape.device, 1, lens));
    const attended = attention(tape, queries, keysValues, keysValues, {
      layout: pooling,
      heads,
      scale: 1 / Math.sqrt(C / heads),
    });
    const pooled = layer(tape, layers, attended, `${name}.proj`, undefined, { dtype: "f32" });

    const activated = activation(tape, pooled, "silu");
    const vectors = (name: string) =>
      layer(tape, layers, activated, name, undefined, { dtype: "f32" });
    const hidden = activation(tape, layer(tape, layers, normed, "text_proj_for_ca.0"), "gelu");
    return {
      pooled,
      shared: vectors("shared_ada_lin.1"),
      headAda: vectors("head_nm.ada_lin.1"),
      text: layer(tape, layers, hidden, "text_proj_for_ca.2"),
      lens,
    };
  }

  /**
   * Logit differences (logit of bit 1 minus logit of bit 0) of all tokens, [B, L, d] f32.
   *
   * @param inputs Inputs of all tokens but the first scale's, [B, L − 1, d].
   */
  logits(tape: Tape, inputs: Tensor, condition: Condition): Variable {
    const { config, layers } = this;
    const { depth, norm_eps: eps } = config;
    const { pooled, headAda, lens } = condition;
    const L = this.#tokens.reduce((sum, n) => sum + n, 0);
    const attended: Attended = {
      self: tape.keep(scalesLayout(tape.device, lens.length, this.#tokens)),
      cross: tape.keep(crossLayout(tape.device, L, lens)),
      rope: this.#rope,
    };
    const words = layer(tape, layers, tape.constant(inputs), "word_embed");
    const table = layers.get("lvl_embed.weight");
    const position = layers.get("pos_start");
    const [B, C] = [lens.length, config.embed_dim];
    let x = tokenInput(tape, { pooled, position, words, table, levels: this.#levels });
    x = x.reshape(B * L, C);
    for (let i = 0; i < depth; i++) {
      const key = blockKey(config, i);
      if (this.#addsLevel(i)) {
        x = addLevel(tape, x.reshape(B, L, C), table, this.#levels).reshape(B * L, C);
      }
      const input = x;
      const run = (tape: Tape) => block(tape, layers, config, key, input, condition, attended);
      x = this.options.recompute ? tape.recompute(run) : run(tape);
    }
    const normed = layerNorm(tape, x, { eps, ada: { vectors: headAda, scale: 0, shift: 1 } });
    const head = (name: string) => headDifference(tape, layers.get(name));
    const delta = linear(tape, normed, head("head.weight"), head("head.bias"), { dtype: "f32" });
    return delta.reshape(B, L, config.d_vae);
  }

  /** Whether the scale's embedding is added once more before block `i`: the first one of each later chunk. */
  #addsLevel(i: number): boolean {
    const { depth, block_chunks, add_lvl_embeding_only_first_block: onlyFirst } = this.config;
    return i > 0 && !onlyFirst && i % (depth / block_chunks) === 0;
  }

  /** Frees the tables. */
  dispose(): void {
    for (const tensor of [this.#rope.cos, this.#rope.sin, this.#levels]) tensor.dispose();
  }
}
