import { type Device, InputError, type Tensor } from "../../engine/mod.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { qkvRope } from "../../kernels/attention/qkv_rope.ts";
import { resample } from "../../kernels/bits/resample.ts";
import { guide } from "../../kernels/elementwise/guide.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import { addLevel } from "../../kernels/tokens/add_level.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import { tokenInput } from "../../kernels/tokens/token_input.ts";
import type { Weights } from "../checkpoint/checkpoint.ts";
import type { Grid } from "../config/grid.ts";
import type { TransformerConfig } from "../config/types.ts";
import { ropeTables } from "./rope.ts";
import { disposer, type TextContext, textContext } from "./text_context.ts";
import { loadTransformer, type TransformerWeights } from "./transformer_weights.ts";

/** What one generation keeps on the GPU besides the weights and the text. */
export interface State {
  /** Rotation tables of the schedule [L, head_dim / 2]. */
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  /** Keys and values by block, [B, cached rows, C] each. */
  readonly cache: readonly KeysValues[];
  /** Keys and values [rows, C] of one block at a time, for passes that later ones do not look back at. */
  readonly scratch: KeysValues;
  /** Activations, as large as the largest pass needs them: [tokens, width] each. */
  readonly workspace: Workspace;
  /** Releases everything. */
  dispose(): void;
}

/** Keys and values [B, rows, C] of the storage type, B images of as many rows. */
export interface KeysValues {
  /** Keys, normalised and rotated. */
  readonly k: Tensor;
  /** Values. */
  readonly v: Tensor;
}

/** Activations of a pass, f32. */
interface Workspace {
  /** Residual stream. */
  readonly x: Tensor;
  readonly normed: Tensor;
  readonly qkv: Tensor;
  readonly q: Tensor;
  readonly attended: Tensor;
  readonly hidden: Tensor;
}

/** Everything about a run of scales that does not depend on the weights: positions, levels, who attends to whom. */
export interface Pass {
  /** Images, both halves of a guided batch counted. */
  readonly batch: number;
  /** Tokens per image in this pass. */
  readonly rows: number;
  /** Tokens per image before this pass. */
  readonly position: number;
  /** Rows per image of the cache that this pass looks back at. */
  readonly start: number;
  /** Whether later passes look back at this one. */
  readonly cached: boolean;
  /** Scale of each token [rows] u32. */
  readonly level: Tensor;
  /** Query and key ranges of self-attention. */
  readonly selfSpans: Tensor;
  /** Query and key ranges of cross-attention. */
  readonly crossSpans: Tensor;
  /** Most queries in one range. */
  readonly maxQueries: number;
  /** Queries times keys of self-attention, and of cross-attention. */
  readonly pairs: readonly [self: number, cross: number];
  /** Releases everything. */
  dispose(): void;
}

/** Guidance inside the stack of blocks. */
export interface Insertion {
  /** Index of the block whose output is mixed. */
  readonly after: number;
  /** Guidance strength of this scale. */
  readonly cfg: number;
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
    return textContext(this.owner, this.weights, this.config, features, lens);
  }

  /** Room for generating the passes of a schedule, one after the other. */
  state(schedule: readonly Grid[], referenceGrid: Grid, passes: readonly Pass[]): State {
    const { embed_dim: C, num_heads, rope, ffn_hidden: F } = this.config;
    const tables = ropeTables(schedule, referenceGrid, C / num_heads, rope.mode, rope.base);
    const made: Tensor[] = [];
    const keep = (tensor: Tensor) => (made.push(tensor), tensor);
    const table = (values: Float32Array<ArrayBuffer>) =>
      keep(this.device.from("f32", [tables.rows, tables.width], values, "RoPE"));
    const keysValues = (shape: number[], label: string): KeysValues => {
      const make = () => keep(this.device.tensor(this.owner.dtype, [...shape, C], label));
      return { k: make(), v: make() };
    };
    const last = passes.at(-1)!;
    const most = Math.max(...passes.map((pass) => pass.batch * pass.rows));
    const uncached = passes.map(({ cached, batch, start, rows }) =>
      cached ? 0 : batch * (start + rows)
    );
    const activations = (width: number) =>
      keep(this.device.tensor("f32", [most, width], "activations"));
    const batch = passes[0]!.batch;
    return {
      rope: { cos: table(tables.cos), sin: table(tables.sin) },
      cache: last.start === 0
        ? []
        : this.weights.blocks.map(() => keysValues([batch, last.start], "KV cache")),
      scratch: keysValues([Math.max(...uncached)], "KV of the last scale"),
      workspace: {
        x: activations(C),
        normed: activations(C),
        qkv: activations(3 * C),
        q: activations(C),
        attended: activations(C),
        hidden: activations(F),
      },
      dispose: disposer(made),
    };
  }

  /**
   * Plans the scales `first` to `last` (inclusive) in one pass. Each scale attends to itself and all earlier ones:
   * with one scale this is generation, with all it is teacher forcing.
   *
   * @param cachedScales How many of the first scales are attended to by later ones; all but the last if absent.
   */
  plan(
    schedule: readonly Grid[],
    first: number,
    last: number,
    lens: readonly number[],
    batch: number,
    cachedScales: number = schedule.length - 1,
  ): Pass {
    const tokens = schedule.map(([h, w]) => h * w);
    const sum = (to: number) => tokens.slice(0, to).reduce((a, n) => a + n, 0);
    const position = sum(first);
    const start = sum(Math.min(first, cachedScales));
    const rows = sum(last + 1) - position;
    // scales that are not cached have a place of their own, the others share the cache (see keysValues)
    const cached = last < cachedScales;
    const cacheRows = cached ? sum(cachedScales) : start + rows;
    const scales = schedule.slice(first, last + 1).map((_, i) => first + i);
    const level = scales.flatMap((s) => Array<number>(tokens[s]!).fill(s));
    const self: number[] = [];
    const cross: number[] = [];
    let textStart = 0;
    for (let b = 0; b < batch; b++) {
      for (const s of scales) {
        const keys = start + sum(s + 1) - position;
        self.push(b * rows + sum(s) - position, tokens[s]!, b * cacheRows, keys);
      }
      cross.push(b * rows, rows, textStart, lens[b]!);
      textStart += lens[b]!;
    }
    const upload = (values: number[], width: number) =>
      this.device.from("u32", [values.length / width, width], Uint32Array.from(values));
    const pass = this.device.allOrNothing(() => ({
      level: upload(level, 1),
      selfSpans: upload(self, 4),
      crossSpans: upload(cross, 4),
    }));
    const maxQueries = Math.max(...scales.map((s) => tokens[s]!));
    const pairsOf = (spans: number[]) =>
      spans.reduce((sum, keys, i) => i % 4 === 3 ? sum + keys * spans[i - 2]! : sum, 0);
    const pairs = [pairsOf(self), pairsOf(cross)] as const;
    const dispose = disposer(Object.values(pass));
    return { batch, rows, position, start, cached, ...pass, maxQueries, pairs, dispose };
  }

  /**
   * Puts a pass's input tokens into the residual stream: codes [images, rows (− 1 at scale 0), d] through
   * `word_embed`, repeated for the unconditional half, with the start token in front at scale 0.
   */
  input(pass: Pass, codes: Tensor | null, text: TextContext, state: State): void {
    const { device, weights, config: { embed_dim: C } } = this;
    const [images = 0, rows = 0] = codes?.shape ?? [];
    // the words lie where the first norm will write: they are used up by then
    const words = codes && state.workspace.normed.rows(0, images * rows).reshape(images, rows, C);
    if (words) matmul(device, { x: codes, linear: weights.wordEmbed, y: words });
    const start = pass.position === 0
      ? { pooled: text.pooled.rows(0, pass.batch), position: weights.posStart }
      : null;
    tokenInput(device, { start, words, y: this.#stream(pass, state) });
  }

  /** The residual stream of a pass [batch, rows, C]. */
  #stream({ batch, rows }: Pass, { workspace }: State): Tensor {
    return workspace.x.rows(0, batch * rows).reshape(batch, rows, this.config.embed_dim);
  }

  /**
   * Fills the residual stream of a pass without running it: what `before` left in it, resized linearly from one scale's
   * grid to the next. Only {@link Transformer.head} may follow.
   */
  restore(pass: Pass, grid: Grid, before: Pass, gridBefore: Grid, { workspace }: State): void {
    const { batch } = pass;
    const C = this.config.embed_dim;
    const rows = (of: Tensor, count: number) => of.rows(0, batch * count).reshape(batch, count, C);
    const old = rows(workspace.normed, before.rows);
    copyRows(this.device, { x: rows(workspace.x, before.rows), y: old, rows: before.rows });
    resample(this.device, {
      x: old.reshape(batch, ...gridBefore, C),
      y: rows(workspace.x, pass.rows).reshape(batch, ...grid, C),
      mode: "linear",
    });
  }

  /** Where block `i` puts keys and values of a pass: its cache, or the scratch behind a copy of it. */
  #keysValues(i: number, pass: Pass, { cache, scratch }: State): KeysValues {
    const own = cache[i];
    // once no later scale is guided, the cache holds more images than the pass
    if (own && pass.cached) {
      return { k: own.k.rows(0, pass.batch), v: own.v.rows(0, pass.batch) };
    }
    const rows = pass.start + pass.rows;
    const behind = (cached: Tensor | undefined, place: Tensor): Tensor => {
      const y = place.rows(0, pass.batch * rows).reshape(pass.batch, rows, this.config.embed_dim);
      if (cached) copyRows(this.device, { x: cached.rows(0, pass.batch), y, rows: pass.start });
      return y;
    };
    return { k: behind(own?.k, scratch.k), v: behind(own?.v, scratch.v) };
  }

  /** Runs block `i` over the residual stream in place; keys and values of the pass go into the cache. */
  block(
    i: number,
    pass: Pass,
    text: TextContext,
    state: State,
    insertion: Insertion | null = null,
  ): void {
    const { device, config, weights } = this;
    const { embed_dim: C, num_heads: heads, norm_eps: eps } = config;
    const headDim = C / heads;
    const x = this.#stream(pass, state);
    const view = (name: keyof Workspace) => state.workspace[name].rows(0, pass.batch * pass.rows);
    const normed = view("normed");
    const qkv = view("qkv");
    const q = view("q");
    const attended = view("attended");
    const hidden = view("hidden");
    const chunk = config.depth / config.block_chunks;
    const block = weights.blocks[i]!;

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

    const { k, v } = this.#keysValues(i, pass, state);
    layerNorm(device, { x, y: normed, eps, modulation: modulation(2, 4) });
    matmul(device, { x: normed, linear: block.qkv, y: qkv });
    qkvRope(device, {
      qkv,
      q,
      kCache: k,
      vCache: v,
      rope: state.rope,
      scaleMul: block.scaleMul,
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
      scoreCount: pass.pairs[0],
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
      scoreCount: pass.pairs[1],
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
  }

  /** Logit differences (bit 1 minus bit 0) [images, rows, d] of the first `images` images of the residual stream. */
  head(images: number, pass: Pass, text: TextContext, state: State): Tensor {
    const { device, config: { norm_eps: eps, embed_dim: C, d_vae }, weights } = this;
    const { rows } = pass;
    const normed = state.workspace.normed.rows(0, images * rows);
    layerNorm(device, {
      x: state.workspace.x.rows(0, images * rows),
      y: normed,
      eps,
      modulation: { tensor: text.headAda, scaleOffset: 0, shiftOffset: C, stride: 2 * C, rows },
    });
    const delta = device.tensor("f32", [images, rows, d_vae], "logits");
    matmul(device, { x: normed, linear: weights.head, y: delta });
    return delta;
  }

  /** Releases the weights. */
  dispose(): void {
    this.owner.dispose();
  }
}
