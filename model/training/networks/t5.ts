import type { Device, Tensor } from "../../../engine/mod.ts";
import { Lookups } from "../../../kernels/tokens/lookups.ts";
import type { T5Config } from "../../config/types.ts";
import { relativePositionBucket } from "../../text/t5.ts";
import { attention } from "../ops/attention/attention.ts";
import { textLayout } from "../ops/attention/attention_layouts.ts";
import { linear } from "../ops/linear.ts";
import { addGated } from "../ops/transformer/add_gated.ts";
import { embedding } from "../ops/transformer/embedding.ts";
import { gatedGelu } from "../ops/transformer/gated_gelu.ts";
import { layerNorm } from "../ops/transformer/layer_norm.ts";
import type { Tape } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import type { Layers } from "./layers.ts";

/** What makes features of prompts. */
export interface TextFeatures {
  /** Features [ΣT, d_model] f32 of the token ids of several prompts, packed; each prompt attends only to itself. */
  features(tape: Tape, ids: readonly (readonly number[])[]): Variable;
  /** Frees what it holds. */
  dispose(): void;
}

/** The T5 v1.1 text encoder on a tape, as model/text/t5.ts runs it. */
export class T5Network implements TextFeatures {
  readonly #bucketOf: Tensor;

  /** Prepares the buckets of relative positions. */
  constructor(
    device: Device,
    private readonly config: T5Config,
    private readonly layers: Layers,
  ) {
    const centre = config.relative_attention_max_distance;
    const buckets = Uint32Array.from(
      { length: 2 * centre + 1 },
      (_, i) => relativePositionBucket(i - centre, config),
    );
    this.#bucketOf = device.from("u32", [buckets.length], buckets, "position buckets");
  }

  features(tape: Tape, ids: readonly (readonly number[])[]): Variable {
    const { config, layers } = this;
    const { num_heads: heads, layer_norm_epsilon: eps } = config;
    const layout = tape.keep(textLayout(tape.device, ids.map((prompt) => prompt.length)));
    const first = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
    const bias = {
      table: layers.get(first),
      bucketOf: this.#bucketOf,
      centre: config.relative_attention_max_distance,
    };
    const norm = (x: Variable, name: string) =>
      layerNorm(tape, x, { eps, rms: true, weight: layers.get(`${name}layer_norm.weight`) });
    const lookups = tape.keep(new Lookups(tape.device, ids.flat(), config.vocab_size));
    let x = embedding(tape, layers.get("shared.weight"), lookups);
    for (let i = 0; i < config.num_layers; i++) {
      const key = `encoder.block.${i}.layer`;
      const weights = (half: string, ...names: string[]) =>
        names.map((name) => layers.get(`${key}.${half}.${name}.weight`));
      const qkv = linear(tape, norm(x, `${key}.0.`), weights("0.SelfAttention", "q", "k", "v"));
      // T5 folds 1/√d_kv into its initialisation
      const attended = attention(tape, qkv, qkv, qkv, { layout, heads, scale: 1, bias });
      x = addGated(tape, x, linear(tape, attended, weights("0.SelfAttention", "o")));
      const hidden = linear(
        tape,
        norm(x, `${key}.1.`),
        weights("1.DenseReluDense", "wi_0", "wi_1"),
      );
      x = addGated(
        tape,
        x,
        linear(tape, gatedGelu(tape, hidden), weights("1.DenseReluDense", "wo")),
      );
    }
    const weight = layers.get("encoder.final_layer_norm.weight");
    return layerNorm(tape, x, { eps, rms: true, weight, dtype: "f32" });
  }

  /** Frees the table. */
  dispose(): void {
    this.#bucketOf.dispose();
  }
}
