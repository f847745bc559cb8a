import { type Device, InputError, type Tensor } from "../engine/mod.ts";
import { adaVectors } from "../kernels/ada_vectors.ts";
import { addLevel } from "../kernels/add_level.ts";
import { attention } from "../kernels/attention.ts";
import { embedding } from "../kernels/embedding.ts";
import { guide } from "../kernels/guide.ts";
import { layerNorm } from "../kernels/layer_norm.ts";
import { type Linear, matmul } from "../kernels/matmul.ts";
import { qkvRope } from "../kernels/qkv_rope.ts";
import { silu } from "../kernels/silu.ts";
import { tokenInput } from "../kernels/token_input.ts";
import type { Weights } from "./checkpoint.ts";
import type { TransformerConfig } from "./config.ts";
import { ropeTables } from "./rope.ts";
import { loadTransformer, type TransformerWeights } from "./transformer_weights.ts";

/** A scale's size in tokens. */
export type Grid = readonly [height: number, width: number];

/** The text side of a batch, computed once: what every block and every scale reads. */
export interface TextContext {
  /** Attentively pooled text [B, C], the AdaLN condition and the start token. */
  readonly pooled: Tensor;
  /** AdaLN's six vectors of each block [depth, B, 6·C]. */
  readonly ada: Tensor;
  /** Scale and shift of the head's norm [B, 2·C]. */
  readonly headAda: Tensor;
  /** Keys and values of each block's cross-attention [ΣT, 2·C]. */
  readonly crossKv: readonly Tensor[];
  /** Text tokens of each image. */
  readonly lens: readonly number[];
  /** Releases everything. */
  dispose(): void;
}

/** Keys and values of every block: [B, rows, C] each. */
export interface KvCache {
  /** Keys by block. */
  readonly k: readonly Tensor[];
  /** Values by block. */
  readonly v: readonly Tensor[];
  /** Tokens that fit. */
  readonly rows: number;
  /** Releases everything. */
  dispose(): void;
}

/** Everything about a run of scales that does not depend on the weights: positions, levels, who attends to whom. */
export interface Pass {
  /** Images, both halves of a guided batch counted. */
  readonly batch: number;
  /** Tokens per image in this pass. */
  readonly rows: number;
  /** Tokens per image before this pass. */
  readonly start: number;
  /** Scale of each token [rows] u32. */
  readonly level: Tensor;
  /** Query and key ranges of self-attention. */
  readonly selfSpans: Tensor;
  /** Query and key ranges of cross-attention. */
  readonly crossSpans: Tensor;
  /** Most queries in one range. */
  readonly maxQueries: number;
  /** Releases everything. */
  dispose(): void;
}

/** Rotation tables of a schedule on the GPU, [L, head_dim / 2] each. */
export interface Rope {
  /** Cosines. */
  readonly cos: Tensor;
  /** Sines. */
  readonly sin: Tensor;
}

/** Guidance inside the stack of blocks. */
export interface Insertion {
  /** Index of the block whose output is mixed. */
  readonly after: number;
  /** Guidance strength of this scale. */
  readonly cfg: number;
}

function disposer(tensors: Iterable<Tensor>): () => void {
  return () => {
    for (const tensor of tensors) tensor.dispose();
  };
}

/** The Infinity transformer (arXiv 2412.04431, section 3; infinity/models/infinity.py). */
export class Transformer {
  private constructor(
    private readonly device: Device,
    /** Hyper-parameters. */
    readonly config: TransformerConfig,
    private readonly weights: TransformerWeights,
    private readonly owner: Weights,
  ) {}

  /**
   * Loads the weights.
   *
   * @throws {CheckpointError} for a missing tensor or a shape that `config` contradicts.
   */
  static async load(weights: Weights, config: TransformerConfig): Promise<Transformer> {
    const loaded = await loadTransformer(weights, config);
    return new Transformer(weights.device, config, loaded, weights);
  }

  #linear(x: Tensor, linear: Linear, epilogue: "none" | "gelu" = "none"): Tensor {
    const y = this.device.tensor("f32", [x.elements / linear.K, linear.N]);
    matmul(this.device, { x, linear, y, epilogue });
    return y;
  }

  /**
   * Unconditional text features [ΣT, Ct5]: the first rows of `cfg_uncond`, as many as each prompt has tokens.
   *
   * @throws {InputError} if a prompt has more tokens than `text_maxlen`.
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
    const y = this.device.tensor("f32", [rows.length, text_channels], "unconditional text");
    const ids = this.device.from("u32", [rows.length], rows);
    embedding(this.device, { ids, table: this.weights.cfgUncond, y });
    ids.dispose();
    return y;
  }

  /** Computes the text side of a batch from features [ΣT, Ct5] of `lens` tokens each. */
  text(features: Tensor, lens: readonly number[]): TextContext {
    const { device, weights, config } = this;
    const { embed_dim: C, depth, norm_eps: eps, text_attn_pool_heads: heads } = config;
    const B = lens.length;
    const normed = device.tensor("f32", features.shape);
    layerNorm(device, { x: features, y: normed, eps, rms: true, weight: weights.textNorm });

    const kv = this.#linear(normed, weights.pool.kv);
    const queries = device.tensor("f32", [B, C]);
    const zeros = device.from("u32", [B], new Uint32Array(B));
    embedding(device, { ids: zeros, table: weights.pool.query.reshape(1, C), y: queries });
    const starts = lens.map((_, i) => lens.slice(0, i).reduce((sum, n) => sum + n, 0));
    const spans = device.from(
      "u32",
      [B, 4],
      Uint32Array.from(lens.flatMap((n, i) => [i, 1, starts[i]!, n])),
    );
    const attended = device.tensor("f32", [B, C]);
    attention(device, {
      q: queries,
      k: kv,
      v: kv,
      y: attended,
      spans,
      maxQueries: 1,
      heads,
      headDim: C / heads,
      scale: 1 / Math.sqrt(C / heads),
      kStride: 2 * C,
      vStride: 2 * C,
      vOffset: C,
    });
    const pooled = this.#linear(attended, weights.pool.proj);

    const activated = device.tensor("f32", [B, C]);
    silu(device, { x: pooled, y: activated });
    const shared = this.#linear(activated, weights.sharedAda);
    const ada = device.tensor("f32", [depth, B, 6 * C], "AdaLN vectors");
    adaVectors(device, { shared, adaGss: weights.adaGss, y: ada });
    const headAda = this.#linear(activated, weights.headAda);

    const hidden = this.#linear(normed, weights.textProj[0], "gelu");
    const projected = this.#linear(hidden, weights.textProj[1]);
    const crossKv = weights.blocks.map((block) => {
      const y = device.tensor(
        this.owner.dtype,
        [projected.shape[0]!, 2 * C],
        "cross-attention cache",
      );
      matmul(device, { x: projected, linear: block.crossKv, y });
      return y;
    });
    const temporary = [normed, kv, queries, zeros, spans, attended, activated, shared, hidden];
    for (const t of [...temporary, projected]) t.dispose();
    const dispose = disposer([pooled, ada, headAda, ...crossKv]);
    return { pooled, ada, headAda, crossKv, lens, dispose };
  }

  /** Room for keys and values of `batch` images of `rows` tokens. */
  cache(batch: number, rows: number): KvCache {
    const make = () =>
      this.weights.blocks.map(() =>
        this.device.tensor(this.owner.dtype, [batch, rows, this.config.embed_dim], "KV cache")
      );
    const k = make();
    const v = make();
    return { k, v, rows, dispose: disposer([...k, ...v]) };
  }

  /** Uploads a schedule's rotation tables. */
  rope(schedule: readonly Grid[], referenceGrid: Grid): Rope {
    const { embed_dim, num_heads, rope } = this.config;
    const headDim = embed_dim / num_heads;
    const tables = ropeTables(schedule, referenceGrid, headDim, rope.mode, rope.base);
    const shape = [tables.rows, tables.width];
    return {
      cos: this.device.from("f32", shape, tables.cos, "RoPE"),
      sin: this.device.from("f32", shape, tables.sin, "RoPE"),
    };
  }

  /**
   * Plans the scales `first` to `last` (inclusive) in one pass over a cache of `cacheRows` tokens. Each scale
   * attends to itself and all earlier ones: with one scale this is generation, with all it is teacher forcing.
   */
  plan(
    schedule: readonly Grid[],
    first: number,
    last: number,
    lens: readonly number[],
    batch: number,
    cacheRows: number,
  ): Pass {
    const tokens = schedule.map(([h, w]) => h * w);
    const sum = (to: number) => tokens.slice(0, to).reduce((a, n) => a + n, 0);
    const start = sum(first);
    const rows = sum(last + 1) - start;
    const scales = schedule.slice(first, last + 1).map((_, i) => first + i);
    const level = scales.flatMap((s) => Array<number>(tokens[s]!).fill(s));
    const self: number[] = [];
    const cross: number[] = [];
    let textStart = 0;
    for (let b = 0; b < batch; b++) {
      for (const s of scales) {
        self.push(b * rows + sum(s) - start, tokens[s]!, b * cacheRows, sum(s + 1));
      }
      cross.push(b * rows, rows, textStart, lens[b]!);
      textStart += lens[b]!;
    }
    const upload = (values: number[], width: number) =>
      this.device.from("u32", [values.length / width, width], Uint32Array.from(values));
    const pass = {
      level: upload(level, 1),
      selfSpans: upload(self, 4),
      crossSpans: upload(cross, 4),
    };
    const maxQueries = Math.max(...scales.map((s) => tokens[s]!));
    return { batch, rows, start, ...pass, maxQueries, dispose: disposer(Object.values(pass)) };
  }

  /**
   * Input tokens [batch, rows, C] of a pass that begins at `scale`: codes [images, rows (− 1 at scale 0), d]
   * through `word_embed`, repeated for the unconditional half, with the start token in front at scale 0.
   */
  input(pass: Pass, codes: Tensor | null, text: TextContext): Tensor {
    const { device, weights, config: { embed_dim: C } } = this;
    const x = device.tensor("f32", [pass.batch, pass.rows, C], "residual stream");
    const words = codes && this.#linear(codes, weights.wordEmbed);
    const start = pass.start === 0
      ? { pooled: text.pooled.rows(0, pass.batch), position: weights.posStart }
      : null;
    const shaped = words && words.reshape(codes.shape[0]!, codes.shape[1]!, C);
    tokenInput(device, { start, words: shaped, y: x });
    words?.dispose();
    return x;
  }

  /** Runs all blocks over x [batch, rows, C] in place; keys and values of the pass go into the cache. */
  blocks(
    x: Tensor,
    pass: Pass,
    text: TextContext,
    cache: KvCache,
    rope: Rope,
    insertion: Insertion | null = null,
  ): void {
    const { device, config, weights } = this;
    const { embed_dim: C, num_heads: heads, norm_eps: eps, ffn_hidden: F } = config;
    const headDim = C / heads;
    const M = pass.batch * pass.rows;
    const normed = device.tensor("f32", [M, C]);
    const qkv = device.tensor("f32", [M, 3 * C]);
    const q = device.tensor("f32", [M, C]);
    const attended = device.tensor("f32", [M, C]);
    const hidden = device.tensor("f32", [M, F]);
    const chunk = config.depth / config.block_chunks;

    weights.blocks.forEach((block, i) => {
      if (i === 0 || (!config.add_lvl_embeding_only_first_block && i % chunk === 0)) {
        addLevel(device, { table: weights.lvlEmbed, level: pass.level, y: x });
      }
      // gamma1, gamma2, scale1, scale2, shift1, shift2 of this block
      const ada = (vector: number) => (i * text.lens.length * 6 + vector) * C;
      const gate = (vector: number) => ({
        tensor: text.ada,
        offset: ada(vector),
        stride: 6 * C,
        rows: pass.rows,
      });
      const modulation = (scale: number, shift: number) => ({
        tensor: text.ada,
        scaleOffset: ada(scale),
        shiftOffset: ada(shift),
        stride: 6 * C,
        rows: pass.rows,
      });

      layerNorm(device, { x, y: normed, eps, modulation: modulation(2, 4) });
      matmul(device, { x: normed, linear: block.qkv, y: qkv });
      qkvRope(device, {
        qkv,
        q,
        // once no later scale is guided, the cache holds more images than the pass
        kCache: cache.k[i]!.rows(0, pass.batch),
        vCache: cache.v[i]!.rows(0, pass.batch),
        rope,
        scaleMul: block.scaleMul,
        batch: pass.batch,
        rows: pass.rows,
        heads,
        headDim,
        ropeStart: pass.start,
        cacheStart: pass.start,
      });
      attention(device, {
        q,
        k: cache.k[i]!,
        v: cache.v[i]!,
        y: attended,
        spans: pass.selfSpans,
        maxQueries: pass.maxQueries,
        heads,
        headDim,
        scale: block.scaleMul ? 1 : 1 / Math.sqrt(headDim),
      });
      matmul(device, { x: attended, linear: block.proj, y: x, epilogue: "gate", gate: gate(0) });

      layerNorm(device, { x, y: normed, eps, ...block.crossNorm });
      matmul(device, { x: normed, linear: block.crossQ, y: q });
      attention(device, {
        q,
        k: text.crossKv[i]!,
        v: text.crossKv[i]!,
        y: attended,
        spans: pass.crossSpans,
        maxQueries: pass.rows,
        heads,
        headDim,
        scale: 1 / Math.sqrt(headDim),
        kStride: 2 * C,
        vStride: 2 * C,
        vOffset: C,
      });
      const crossGate = block.crossGamma &&
        { tensor: block.crossGamma, offset: 0, stride: 0, rows: 1 };
      matmul(device, {
        x: attended,
        linear: block.crossProj,
        y: x,
        ...(crossGate ? { epilogue: "gate", gate: crossGate } : { epilogue: "add" }),
      });

      layerNorm(device, { x, y: normed, eps, modulation: modulation(3, 5) });
      matmul(device, { x: normed, linear: block.fc1, y: hidden, epilogue: "gelu" });
      matmul(device, { x: hidden, linear: block.fc2, y: x, epilogue: "gate", gate: gate(1) });
      if (insertion?.after === i) guide(device, { y: x, cfg: insertion.cfg });
    });
    for (const t of [normed, qkv, q, attended, hidden]) t.dispose();
  }

  /** Logit differences (bit 1 minus bit 0) [images, rows, d] of the first `images` images of x. */
  head(x: Tensor, images: number, text: TextContext): Tensor {
    const { device, config: { embed_dim: C, norm_eps: eps, d_vae }, weights } = this;
    const rows = x.shape[1]!;
    const normed = device.tensor("f32", [images, rows, C]);
    layerNorm(device, {
      x: x.rows(0, images),
      y: normed,
      eps,
      modulation: { tensor: text.headAda, scaleOffset: 0, shiftOffset: C, stride: 2 * C, rows },
    });
    const delta = device.tensor("f32", [images, rows, d_vae], "logits");
    matmul(device, { x: normed, linear: weights.head, y: delta });
    normed.dispose();
    return delta;
  }

  /** Releases the weights. */
  dispose(): void {
    this.owner.dispose();
  }
}
