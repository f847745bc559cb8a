import { type Device, InputError, type Tensor } from "../../engine/mod.ts";
import { resample } from "../../kernels/bits/resample.ts";
import { guide } from "../../kernels/elementwise/guide.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import { addLevel } from "../../kernels/tokens/add_level.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import { tokenInput } from "../../kernels/tokens/token_input.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { Grid } from "../config/grid.ts";
import type { TransformerConfig } from "../config/types.ts";
import { Block } from "./block.ts";
import { type Pass, type PassOptions, planPass } from "./pass.ts";
import { State } from "./state.ts";
import { type TextContext, textContext } from "./text_context.ts";
import { loadTransformer, type TransformerWeights } from "./transformer_weights.ts";

/** Classifier-free guidance of hidden states. */
export interface HiddenGuidance {
  /** Blocks whose output is guided, counted from 0. */
  readonly blocks: readonly number[];
  /** Strength at this scale. */
  readonly cfg: number;
}

/** The Infinity transformer (arXiv 2412.04431, section 3; infinity/models/infinity.py). */
export class Transformer {
  readonly #blocks: readonly Block[];

  private constructor(
    private readonly device: Device,
    /** Hyper-parameters. */
    readonly config: TransformerConfig,
    private readonly weights: TransformerWeights,
    private readonly owner: Weights,
  ) {
    this.#blocks = weights.blocks.map((block, i) => new Block(device, config, i, block));
  }

  /**
   * Loads the weights.
   *
   * @throws {CheckpointError} A tensor is missing, or its shape contradicts `config`.
   */
  static async load(weights: Weights, config: TransformerConfig): Promise<Transformer> {
    const loaded = await loadTransformer(weights, config);
    return new Transformer(weights.device, config, loaded, weights);
  }

  /**
   * Unconditional text features [ΣT, Ct5]: the first rows of `cfg_uncond`, as many as each prompt has tokens.
   *
   * @throws {InputError} `text-too-long`: a prompt has more tokens than `text_maxlen`.
   */
  unconditional(lens: readonly number[]): Tensor {
    const { text_maxlen, text_channels } = this.config;
    const longest = Math.max(...lens);
    if (longest > text_maxlen) {
      throw new InputError(
        "text-too-long",
        `Cannot guide ${longest} text tokens: cfg_uncond holds ${text_maxlen}`,
      );
    }
    const rows = Uint32Array.from(lens.flatMap((n) => [...Array(n).keys()]));
    return this.device.allOrNothing(() => {
      const y = this.device.tensor("f32", [rows.length, text_channels], "unconditional text");
      using ids = this.device.from("u32", [rows.length], rows);
      embedding(this.device, { ids, table: this.weights.cfgUncond, y });
      return y;
    });
  }

  /** Computes the text side of a batch from features [ΣT, Ct5] of `lens` tokens each. */
  text(features: Tensor, lens: readonly number[]): TextContext {
    return textContext(this.owner, this.weights, this.config, features, lens);
  }

  /** Plans some scales as one pass, see {@link planPass}. */
  plan(options: PassOptions): Pass {
    return planPass(this.device, options);
  }

  /** Allocates memory for running the passes of a schedule one after the other. */
  state(schedule: readonly Grid[], referenceGrid: Grid, passes: readonly Pass[]): State {
    const { device, config, owner } = this;
    return device.allOrNothing(() =>
      new State(device, config, owner, schedule, referenceGrid, passes)
    );
  }

  /**
   * Writes a pass's input tokens into the residual stream: the codes embedded by `word_embed`, repeated for the
   * unconditional half, after the start token at scale 0; and adds each scale's embedding.
   *
   * @param codes [images, rows (− 1 at scale 0), d]; null if there is only the start token.
   */
  input(pass: Pass, codes: Tensor | null, text: TextContext, state: State): void {
    const { device, weights, config: { embed_dim: C } } = this;
    const { x, normed } = state.activations(pass);
    const [images = 0, rows = 0] = codes?.shape ?? [];
    // the first norm overwrites the words, which are no longer needed by then
    const words = codes && normed.rows(0, images * rows).reshape(images, rows, C);
    if (words) {
      matmul(device, { x: codes, linear: weights.wordEmbed, y: words, rows: pass.rows });
    }
    const start = pass.position === 0
      ? { pooled: text.pooled.rows(0, pass.batch), position: weights.posStart }
      : null;
    tokenInput(device, { start, words, table: weights.lvlEmbed, level: pass.level, y: x });
  }

  /**
   * Fills the residual stream of a pass without running its blocks: the stream of the pass before, resized linearly
   * from one scale's grid to the next. Only {@link Transformer.head} may follow.
   */
  restore(pass: Pass, grid: Grid, previous: Pass, previousGrid: Grid, state: State): void {
    const { device, config: { embed_dim: C } } = this;
    const { batch } = pass;
    const { x: old } = state.activations(previous, batch);
    using copy = device.tensor("f32", old.shape, "hidden states");
    copyRows(device, { x: old, y: copy, rows: previous.rows });
    resample(device, {
      x: copy.reshape(batch, ...previousGrid, C),
      y: state.activations(pass).x.reshape(batch, ...grid, C),
      mode: "linear",
    });
  }

  /** Runs block `i` over the residual stream in place, and then guides it if `guidance` names the block. */
  block(
    i: number,
    pass: Pass,
    text: TextContext,
    state: State,
    guidance?: HiddenGuidance,
  ): void {
    const { device, weights } = this;
    const { x } = state.activations(pass);
    if (this.#addsLevel(i)) addLevel(device, { table: weights.lvlEmbed, level: pass.level, y: x });
    this.#blocks[i]!.run(pass, text, state);
    if (guidance?.blocks.includes(i)) guide(device, { y: x, cfg: guidance.cfg });
  }

  /** Whether the scale's embedding is added once more before block `i`: the first one of each later chunk. */
  #addsLevel(i: number): boolean {
    const { depth, block_chunks, add_lvl_embeding_only_first_block: onlyFirst } = this.config;
    return i > 0 && !onlyFirst && i % (depth / block_chunks) === 0;
  }

  /**
   * Logit differences (logit of bit 1 minus logit of bit 0) of the first sequences of the residual stream, as a new
   * tensor [sequences, rows, d].
   */
  head(sequences: number, pass: Pass, text: TextContext, state: State): Tensor {
    const { device, config: { norm_eps: eps, embed_dim: C, d_vae }, weights } = this;
    const { x, normed } = state.activations(pass, sequences);
    const { rows } = pass;
    const modulation = {
      tensor: text.headAda,
      scaleOffset: 0,
      shiftOffset: C,
      stride: 2 * C,
      rows,
    };
    layerNorm(device, { x, y: normed, eps, modulation });
    return device.allOrNothing(() => {
      const delta = device.tensor("f32", [sequences, rows, d_vae], "logits");
      matmul(device, { x: normed, linear: weights.head, y: delta, rows });
      return delta;
    });
  }

  /** Frees the weights. */
  dispose(): void {
    this.owner.dispose();
  }
}
