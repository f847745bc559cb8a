import { type Device, InputError, type Tensor } from "../../engine/mod.ts";
import { attention, type RelativeBias } from "../../kernels/attention/attention.ts";
import { gatedGelu } from "../../kernels/elementwise/gated_gelu.ts";
import type { Linear } from "../../kernels/linear/linear.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { offsets } from "../config/offsets.ts";
import { TEXT_TOKENS } from "../config/text_tokens.ts";
import type { T5Config } from "../config/types.ts";

/** Weights of one block, named after the checkpoint's keys. */
interface T5Block {
  /** `layer.0.layer_norm.weight` [d_model]. */
  readonly attentionNorm: Tensor;
  /** `layer.0.SelfAttention.q`, `k`, `v`, stacked [3 · heads · d_kv, d_model]. */
  readonly qkv: Linear;
  /** `layer.0.SelfAttention.o` [d_model, heads · d_kv]. */
  readonly o: Linear;
  /** `layer.1.layer_norm.weight` [d_model]. */
  readonly feedForwardNorm: Tensor;
  /** `layer.1.DenseReluDense.wi_0`, `wi_1`, stacked [2 · d_ff, d_model]. */
  readonly wi: Linear;
  /** `layer.1.DenseReluDense.wo` [d_model, d_ff]. */
  readonly wo: Linear;
}

interface T5Weights {
  /** `shared.weight` [vocab_size, d_model], split by rows. */
  readonly shared: readonly Tensor[];
  /** `relative_attention_bias` of block 0, which all blocks use. */
  readonly bias: RelativeBias;
  readonly blocks: readonly T5Block[];
  /** `encoder.final_layer_norm.weight` [d_model]. */
  readonly finalNorm: Tensor;
}

/**
 * Returns the bucket of a relative position, key minus query (`_relative_position_bucket` of T5, bidirectional). Each
 * direction has half of the buckets: the first half of these hold one position each, the others grow logarithmically up
 * to the largest distance.
 */
export function relativePositionBucket(
  position: number,
  config: Pick<
    T5Config,
    "relative_attention_num_buckets" | "relative_attention_max_distance"
  >,
): number {
  const buckets = Math.floor(config.relative_attention_num_buckets / 2);
  const direction = position > 0 ? buckets : 0;
  const distance = Math.abs(position);
  const exact = Math.floor(buckets / 2);
  if (distance < exact) return direction + distance;
  // the original computes in f32, which decides the bucket at powers of two
  const f = Math.fround;
  const log = f(Math.log(f(distance / exact)));
  const span = f(Math.log(config.relative_attention_max_distance / exact));
  const far = exact + Math.floor(f(f(log / span) * (buckets - exact)));
  return direction + Math.min(far, buckets - 1);
}

/** The T5 v1.1 text encoder: token ids to text features. */
export class T5Encoder {
  private constructor(
    private readonly device: Device,
    /** Hyper-parameters. */
    readonly config: T5Config,
    private readonly weights: T5Weights,
    private readonly owner: Weights,
  ) {}

  /**
   * Loads an encoder by its Hugging Face names. Ignores the tensors of a decoder.
   *
   * @throws {CheckpointError} `missing-tensor`; `wrong-shape`, naming both shapes.
   */
  static async load(weights: Weights, config: T5Config): Promise<T5Encoder> {
    return new T5Encoder(weights.device, config, await load(weights, config), weights);
  }

  /**
   * Encodes token ids of several prompts, packed without padding; each prompt attends only to itself.
   *
   * @param ids Tokens of each prompt, at least one, including `</s>`.
   * @param observe Called with the residual stream [ΣT, d_model] after each half of each block, for tests.
   * @returns Features [ΣT, d_model] f32, which the caller owns, and the number of tokens of each prompt.
   * @throws {InputError} `bad-token-ids`: a prompt without tokens, or an id outside the vocabulary.
   */
  encode(
    ids: readonly (readonly number[])[],
    observe: (name: string, x: Tensor) => void = () => {},
  ): { features: Tensor; lens: number[] } {
    this.#check(ids);
    const { device, config, weights, owner: { activations } } = this;
    const { d_model: C, d_ff, num_heads: heads, d_kv: headDim, layer_norm_epsilon: eps } = config;
    const lens = ids.map((prompt) => prompt.length);
    const tokens = device.from(
      "u32",
      [ids.flat().length],
      Uint32Array.from(ids.flat()),
      "token ids",
    );
    const spans = device.from("u32", [lens.length, 4], spansOf(lens), "text spans");
    const [T = 0] = tokens.shape;
    const inner = heads * headDim;
    const x = device.tensor("f32", [T, C], "text stream");
    const normed = device.tensor(activations, [T, C], "text norm");
    const qkv = device.tensor(activations, [T, 3 * inner], "text qkv");
    const attended = device.tensor(activations, [T, inner], "text attention");
    const hidden = device.tensor(activations, [T, 2 * d_ff], "text hidden");
    const gated = device.tensor(activations, [T, d_ff], "text gated");

    let first = 0;
    for (const table of weights.shared) {
      embedding(device, { ids: tokens, table, first, y: x });
      first += table.shape[0]!;
    }
    for (const [i, block] of weights.blocks.entries()) {
      layerNorm(device, { x, y: normed, eps, rms: true, weight: block.attentionNorm });
      matmul(device, { x: normed, linear: block.qkv, y: qkv, rows: TEXT_TOKENS });
      attention(device, {
        q: qkv,
        k: qkv,
        v: qkv,
        y: attended,
        spans,
        maxQueries: Math.max(...lens),
        rows: Infinity, // prompts of a batch differ in length
        scoreCount: lens.reduce((sum, n) => sum + n * n, 0),
        heads,
        headDim,
        scale: 1, // T5 folds 1/√d_kv into its initialisation
        qStride: 3 * inner,
        kStride: 3 * inner,
        kOffset: inner,
        vStride: 3 * inner,
        vOffset: 2 * inner,
        bias: weights.bias,
      });
      matmul(device, { x: attended, linear: block.o, y: x, epilogue: "add", rows: TEXT_TOKENS });
      observe(`layer${i}.after_attn`, x);
      layerNorm(device, { x, y: normed, eps, rms: true, weight: block.feedForwardNorm });
      matmul(device, { x: normed, linear: block.wi, y: hidden, rows: TEXT_TOKENS });
      gatedGelu(device, { h: hidden, y: gated });
      matmul(device, { x: gated, linear: block.wo, y: x, epilogue: "add", rows: TEXT_TOKENS });
      observe(`layer${i}.out`, x);
    }
    const features = device.tensor("f32", [T, C], "text features");
    layerNorm(device, { x, y: features, eps, rms: true, weight: weights.finalNorm });
    for (const t of [tokens, spans, x, normed, qkv, attended, hidden, gated]) t.dispose();
    return { features, lens };
  }

  #check(ids: readonly (readonly number[])[]): void {
    const { vocab_size } = this.config;
    if (ids.length === 0 || ids.some((prompt) => prompt.length === 0)) {
      throw new InputError("bad-token-ids", "Cannot encode a prompt without tokens");
    }
    const bad = ids.flat().find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab_size));
    if (bad === undefined) return;
    throw new InputError(
      "bad-token-ids",
      `Cannot encode token ${bad}: the text encoder knows 0 to ${vocab_size - 1}; ` +
        "is tokenizer.json from another model?",
    );
  }

  /** Frees the weights. */
  dispose(): void {
    this.owner.dispose();
  }
}

/** Attention spans [prompts, 4] by which each prompt attends to itself. */
function spansOf(lens: readonly number[]): Uint32Array<ArrayBuffer> {
  const starts = offsets(lens);
  return Uint32Array.from(lens.flatMap((n, i) => [starts[i]!, n, starts[i]!, n]));
}

async function load(weights: Weights, config: T5Config): Promise<T5Weights> {
  const { d_model: C, d_ff, vocab_size: V, num_heads: heads } = config;
  const inner = heads * config.d_kv;
  const norm = (name: string) => weights.tensor(`${name}layer_norm.weight`, [C]);
  const linear = (names: readonly string[], N: number, K: number) =>
    weights.linear(names.map((name) => `${name}.weight`), [N, K]);
  const table = weights.has("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
  const shared = await weights.table(table, [V, C]);
  const blocks: T5Block[] = [];
  for (let i = 0; i < config.num_layers; i++) {
    const key = `encoder.block.${i}.layer`;
    const q = `${key}.0.SelfAttention`;
    const wi = `${key}.1.DenseReluDense`;
    blocks.push({
      attentionNorm: await norm(`${key}.0.`),
      qkv: await linear([`${q}.q`, `${q}.k`, `${q}.v`], 3 * inner, C),
      o: await linear([`${q}.o`], C, inner),
      feedForwardNorm: await norm(`${key}.1.`),
      wi: await linear([`${wi}.wi_0`, `${wi}.wi_1`], 2 * d_ff, C),
      wo: await linear([`${wi}.wo`], C, d_ff),
    });
  }
  const buckets = config.relative_attention_num_buckets;
  const biasName = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
  const biasTable = await weights.tensor(biasName, [buckets, heads]);
  // all longer distances are in the last bucket, so one table serves prompts of any length
  const centre = config.relative_attention_max_distance;
  const bucketOf = weights.keep(weights.device.from(
    "u32",
    [2 * centre + 1],
    Uint32Array.from(
      { length: 2 * centre + 1 },
      (_, i) => relativePositionBucket(i - centre, config),
    ),
    "position buckets",
    "weights",
  ));
  return {
    shared,
    bias: { table: biasTable, bucketOf, centre },
    blocks,
    finalNorm: await norm("encoder.final_"),
  };
}
