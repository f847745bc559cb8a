import type { Device, Tensor } from "../../engine/mod.ts";
import type { Grid } from "../config/grid.ts";
import { offsets } from "../config/offsets.ts";
import { disposer } from "./text_context.ts";

/** The layout of a run of scales, independent of weights: positions, levels, and which token attends to which. */
export interface Pass {
  /** Sequences: images, twice as many with an unconditional half. */
  readonly batch: number;
  /** Tokens per sequence in this pass. */
  readonly rows: number;
  /** Tokens per sequence before this pass. */
  readonly position: number;
  /** Cached rows per sequence that this pass attends to. */
  readonly start: number;
  /** Whether later passes attend to this one. */
  readonly cached: boolean;
  /** Scale of each token [rows] u32. */
  readonly level: Tensor;
  /** Query and key ranges of self-attention, one [4] u32 per sequence and scale. */
  readonly selfSpans: Tensor;
  /** Query and key ranges of cross-attention, one [4] u32 per sequence. */
  readonly crossSpans: Tensor;
  /** Most queries in one range. */
  readonly maxQueries: number;
  /** Most text tokens of one sequence. */
  readonly maxText: number;
  /** Attention scores per head (queries times keys, summed over ranges). */
  readonly scores: { readonly self: number; readonly cross: number };
  /** Frees the tensors. */
  dispose(): void;
}

/** What to plan a pass for. */
export interface PassOptions {
  /** Token grids of all scales. */
  readonly schedule: readonly Grid[];
  /** First scale of the pass. */
  readonly first: number;
  /** Last scale of the pass, inclusive. */
  readonly last: number;
  /** Text tokens of each sequence; those after `batch` are ignored. */
  readonly lens: readonly number[];
  /** Sequences. */
  readonly batch: number;
  /** How many of the first scales later ones attend to; all but the last if absent. */
  readonly cachedScales?: number;
}

/** Rows of four numbers for attention: first query, queries, first key, keys. */
type Span = readonly [query: number, queries: number, key: number, keys: number];

/**
 * Plans the scales `first` to `last` as one pass. Each scale attends to itself and to all earlier ones: with one scale
 * this is generation, with all of them teacher forcing.
 *
 * @throws {OutOfMemoryError} After freeing what it allocated.
 */
export function planPass(device: Device, options: PassOptions): Pass {
  const { schedule, first, last, lens, batch, cachedScales = schedule.length - 1 } = options;
  const tokens = schedule.map(([h, w]) => h * w);
  const tokensBefore = offsets(tokens);
  const position = tokensBefore[first]!;
  const start = tokensBefore[Math.min(first, cachedScales)]!;
  const rows = tokensBefore[last + 1]! - position;
  // cached passes share the cache; the others attend to a copy of it with their own rows appended (State.keysValues)
  const cached = last < cachedScales;
  const keyRows = cached ? tokensBefore[cachedScales]! : start + rows;
  const scales = schedule.slice(first, last + 1).map((_, i) => first + i);
  const sequences = Array.from({ length: batch }, (_, b) => b);

  const self = sequences.flatMap((b) =>
    scales.map((s): Span => {
      const keys = start + tokensBefore[s + 1]! - position;
      return [b * rows + tokensBefore[s]! - position, tokens[s]!, b * keyRows, keys];
    })
  );
  const texts = offsets(lens);
  const cross = sequences.map((b): Span => [b * rows, rows, texts[b]!, lens[b]!]);
  const level = scales.flatMap((s) => Array<number>(tokens[s]!).fill(s));

  const upload = (rows: readonly (readonly number[])[]) =>
    device.from("u32", [rows.length, rows[0]!.length], Uint32Array.from(rows.flat()));
  const tensors = device.allOrNothing(() => ({
    level: upload(level.map((s) => [s])),
    selfSpans: upload(self),
    crossSpans: upload(cross),
  }));
  return {
    batch,
    rows,
    position,
    start,
    cached,
    ...tensors,
    maxQueries: Math.max(...scales.map((s) => tokens[s]!)),
    maxText: Math.max(...lens.slice(0, batch)),
    scores: { self: scoreCount(self), cross: scoreCount(cross) },
    dispose: disposer(Object.values(tensors)),
  };
}

function scoreCount(spans: readonly Span[]): number {
  return spans.reduce((sum, [, queries, , keys]) => sum + queries * keys, 0);
}
