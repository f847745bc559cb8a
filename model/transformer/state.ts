import type { Device, Tensor } from "../../engine/mod.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { Grid } from "../config/grid.ts";
import type { TransformerConfig } from "../config/types.ts";
import type { Pass } from "./pass.ts";
import { ropeTables } from "./rope.ts";

/** Keys and values [B, rows, C] of the storage type. */
export interface KeysValues {
  /** Keys, normalised and rotated. */
  readonly k: Tensor;
  /** Values. */
  readonly v: Tensor;
}

/** Activations of one pass [tokens, width], f32 or of the type of activations. */
export interface Activations {
  /** Residual stream in f32, C wide. */
  readonly x: Tensor;
  /** A norm of it, C wide. */
  readonly normed: Tensor;
  /** Projections of self-attention, 3C wide. */
  readonly qkv: Tensor;
  /** Queries, C wide. */
  readonly q: Tensor;
  /** Output of attention, C wide. */
  readonly attended: Tensor;
  /** Hidden layer of the feed-forward network, `ffn_hidden` wide. */
  readonly hidden: Tensor;
}

/**
 * GPU memory of one generation besides weights and text: RoPE tables, the KV cache, and activations as large as the
 * largest pass needs.
 */
export class State {
  /** Rotation tables of the schedule [L, head_dim / 2]. */
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  /** Keys and values [B, cached rows, C] of each block. */
  readonly #cache: readonly KeysValues[];
  /** Keys and values [rows, C] of one block at a time, for passes that later ones do not attend to. */
  readonly #scratch: KeysValues;
  readonly #activations: Activations;
  readonly #owned: Tensor[] = [];

  /**
   * Allocates for the passes of a schedule, which run one after the other.
   *
   * @param types Storage types of keys and values, and of activations.
   * @throws {OutOfMemoryError} Without freeing what it allocated: call it inside `device.allOrNothing`.
   */
  constructor(
    private readonly device: Device,
    private readonly config: TransformerConfig,
    types: Pick<Weights, "dtype" | "activations">,
    schedule: readonly Grid[],
    referenceGrid: Grid,
    passes: readonly Pass[],
  ) {
    const { embed_dim: C, num_heads, rope, ffn_hidden: F, depth } = config;
    const tables = ropeTables(schedule, referenceGrid, C / num_heads, rope.mode, rope.base);
    const table = (values: Float32Array<ArrayBuffer>) =>
      this.#keep(device.from("f32", [tables.rows, tables.width], values, "RoPE"));
    this.rope = { cos: table(tables.cos), sin: table(tables.sin) };

    const keysValues = (shape: number[], label: string): KeysValues => {
      const make = () => this.#keep(device.tensor(types.dtype, [...shape, C], label, "cache"));
      return { k: make(), v: make() };
    };
    const { batch } = passes[0]!;
    const { start: cachedRows } = passes.at(-1)!;
    this.#cache = Array.from(
      { length: cachedRows === 0 ? 0 : depth },
      () => keysValues([batch, cachedRows], "KV cache"),
    );
    const uncached = passes.filter(({ cached }) => !cached);
    const scratchRows = uncached.map(({ batch, start, rows }) => batch * (start + rows));
    this.#scratch = keysValues([Math.max(0, ...scratchRows)], "KV of the last scale");

    const tokens = Math.max(...passes.map(({ batch, rows }) => batch * rows));
    const activations = (width: number, dtype = types.activations) =>
      this.#keep(device.tensor(dtype, [tokens, width], "activations"));
    this.#activations = {
      x: activations(C, "f32"),
      normed: activations(C),
      qkv: activations(3 * C),
      q: activations(C),
      attended: activations(C),
      hidden: activations(F),
    };
  }

  #keep(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }

  /** Activations of the first `sequences` sequences of a pass, views of the workspace; `x` is [sequences, rows, C]. */
  activations({ batch, rows }: Pass, sequences: number = batch): Activations {
    const view = (tensor: Tensor) => tensor.rows(0, sequences * rows);
    const { x, normed, qkv, q, attended, hidden } = this.#activations;
    return {
      x: view(x).reshape(sequences, rows, this.config.embed_dim),
      normed: view(normed),
      qkv: view(qkv),
      q: view(q),
      attended: view(attended),
      hidden: view(hidden),
    };
  }

  /**
   * Where block `block` reads and writes keys and values in a pass: its cache, or for a pass that is not cached the
   * scratch, which begins with a copy of the cache.
   */
  keysValues(block: number, pass: Pass): KeysValues {
    const cache = this.#cache[block];
    // once no later scale is guided, the cache holds more sequences than the pass
    const cached = cache &&
      { k: cache.k.rows(0, pass.batch), v: cache.v.rows(0, pass.batch) };
    if (cached && pass.cached) return cached;
    return {
      k: this.#extend(this.#scratch.k, pass, cached?.k),
      v: this.#extend(this.#scratch.v, pass, cached?.v),
    };
  }

  /** A view [batch, start + rows, C] of scratch memory, its first rows copied from the cache. */
  #extend(scratch: Tensor, { batch, start, rows }: Pass, cached?: Tensor): Tensor {
    const count = start + rows;
    const y = scratch.rows(0, batch * count).reshape(batch, count, this.config.embed_dim);
    if (cached) copyRows(this.device, { x: cached, y, rows: start });
    return y;
  }

  /** Frees the tensors. */
  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }
}
