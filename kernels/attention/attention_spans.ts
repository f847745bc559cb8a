import { type Device, KernelError, type Tensor } from "../../engine/mod.ts";

/** Elements to whose multiples the parts of a layout are aligned, since kernels bind them at 256 bytes. */
const ALIGN = 64;

/** Queries that attend to keys: the row of {@link AttentionArgs.spans}. */
export type Span = readonly [query: number, queries: number, key: number, keys: number];

/** Spans as one side sees them. */
export interface SpanSide {
  /** u32 [n, 4]: first own row, own rows, first row of the other side, rows of the other side. */
  readonly spans: Tensor;
  /** Most own rows of a span. */
  readonly own: number;
  /** Most rows of the other side of a span. */
  readonly others: number;
  /** Own rows up to the last of all spans. */
  readonly rows: number;
  /** Own rows in all spans. */
  readonly covered: number;
  /** u32 [m, 2]: first row and number of rows of each run of own rows, as long as can be. */
  readonly runs: Tensor;
  /** Rows of the longest run. */
  readonly longest: number;
}

/** Which rows attend to which, for forward and backward passes: what depends on shapes alone, and is made once. */
export interface SpanLayout {
  /** The spans: whom queries attend to. */
  readonly byQueries: SpanSide;
  /** By whom keys are attended to: neighbours with the same last query share a span. */
  readonly byKeys: SpanSide;
  /** u32 [keys], the first query of each key; what is in no span does not matter. */
  readonly firstQueries: Tensor;
  /** Logits per head: queries times keys, summed over spans. */
  readonly scoreCount: number;
  /** Whether each span of keys is one whole span: then their positions are what a relative bias needs. */
  readonly whole: boolean;
  /** Frees the memory, which all tensors share. */
  dispose(): void;
}

/**
 * Uploads spans as queries see them, and as keys do. A query is in one span at most. A key may be in several, as where
 * later scales attend to earlier ones; the queries that attend to it are rows one after the other.
 *
 * @throws {KernelError} `bad-shape`: there are no spans, or a key's queries are not one after the other.
 * @throws {OutOfMemoryError} There is no room for them.
 */
export function spanLayout(device: Device, spans: readonly Span[]): SpanLayout {
  if (spans.length === 0) throw new KernelError("bad-shape", "Cannot attend without spans");
  const { keySpans, whole } = byKeys(spans);
  const own = sideOf(spans), keys = sideOf(merged(keySpans));
  const firsts = firstQueries(keySpans);
  const all = [own.spans.flat(), own.runs.flat(), keys.spans.flat(), keys.runs.flat(), firsts];
  const starts: number[] = [];
  let elements = 0;
  for (const { length } of all) {
    starts.push(elements);
    elements += Math.ceil(length / ALIGN) * ALIGN;
  }
  const data = new Uint32Array(Math.max(1, elements));
  all.forEach((part, i) => data.set(part, starts[i]));
  const tensor = device.from("u32", [data.length], data, "spans");
  const part = (i: number, width: number) => {
    const { length } = all[i]!;
    return tensor.rows(starts[i]!, length).reshape(length / width, width);
  };
  return {
    byQueries: { ...own, spans: part(0, 4), runs: part(1, 2) },
    byKeys: { ...keys, spans: part(2, 4), runs: part(3, 2) },
    firstQueries: part(4, 1),
    scoreCount: spans.reduce((sum, [, queries, , keys]) => sum + queries * keys, 0),
    whole,
    dispose: () => tensor.dispose(),
  };
}

/** What {@link SpanSide} says of spans, before they are uploaded. */
function sideOf(spans: readonly Span[]) {
  const most = (of: (span: Span) => number) =>
    spans.reduce((max, span) => Math.max(max, of(span)), 0);
  const runs = runsOf(spans);
  return {
    spans,
    own: most(([, count]) => count),
    others: most(([, , , count]) => count),
    rows: most(([first, count]) => first + count),
    covered: spans.reduce((sum, [, count]) => sum + count, 0),
    runs,
    longest: runs.reduce((max, [, count]) => Math.max(max, count), 0),
  };
}

/** Joins own rows of neighbours. */
function runsOf(spans: readonly Span[]): [first: number, count: number][] {
  const runs: [number, number][] = [];
  for (const [first, count] of spans.toSorted(([a], [b]) => a - b)) {
    const run = runs.at(-1);
    if (run && run[0] + run[1] === first) run[1] += count;
    else runs.push([first, count]);
  }
  return runs;
}

/** Cuts keys where the spans that they are in change. */
function byKeys(spans: readonly Span[]): { keySpans: Span[]; whole: boolean } {
  const cuts = [...new Set(spans.flatMap(([, , key, keys]) => [key, key + keys]))]
    .sort((a, b) => a - b);
  const ahead = spans.filter(([, queries, , keys]) => queries > 0 && keys > 0)
    .sort(([, , a], [, , b]) => b - a);
  const keySpans: Span[] = [];
  let over: Span[] = [];
  let whole = true;
  for (const [i, first] of cuts.slice(0, -1).entries()) {
    over = over.filter(([, , key, keys]) => key + keys > first);
    while (ahead.length && ahead.at(-1)![2] === first) over.push(ahead.pop()!);
    if (over.length === 0) continue;
    over.sort(([a], [b]) => a - b);
    const [query] = over[0]!;
    let next = query;
    for (const [start, queries] of over) {
      if (start !== next) {
        throw new KernelError(
          "bad-shape",
          `Cannot attend backwards: the queries of key ${first} are not one after the other`,
        );
      }
      next += queries;
    }
    keySpans.push([first, cuts[i + 1]! - first, query, next - query]);
    whole &&= over.length === 1 && over[0]![2] === first;
  }
  // keys without queries need none, but a tensor has a row
  return { keySpans: keySpans.length ? keySpans : [[0, 0, 0, 0]], whole };
}

/** Merges neighbours with the same last query: small scales would leave most of a tile empty. */
function merged(keySpans: readonly Span[]): Span[] {
  const all: [key: number, keys: number, query: number, queries: number][] = [];
  for (const [key, keys, query, queries] of keySpans) {
    const last = all.at(-1);
    const joins = last && last[0] + last[1] === key && last[2] + last[3] === query + queries &&
      last[2] <= query;
    if (joins) last[1] += keys;
    else all.push([key, keys, query, queries]);
  }
  return all;
}

function firstQueries(keySpans: readonly Span[]): Uint32Array<ArrayBuffer> {
  const [key, keys] = keySpans.at(-1)!;
  const firsts = new Uint32Array(key + keys);
  for (const [key, keys, query] of keySpans) firsts.fill(query, key, key + keys);
  return firsts;
}
