import type { Device, Tensor } from "../../engine/mod.ts";

/** Most rows that one invocation adds up: more are added in two steps. */
const CHUNK = 64;

/** Sums of rows: for each where it goes, and which entries of a list it begins and ends with. */
export interface RowSums {
  /** u32 [count, 3]: row of the result, begin, end. */
  readonly entries: Tensor;
  /** Number of sums. */
  readonly count: number;
}

/** Which rows of a table a batch looks up, and in the other direction, so that gradients are summed in a fixed order. */
export class Lookups implements Disposable {
  /** Number of rows that are looked up. */
  readonly length: number;
  /** The row of the table for each position, u32 [T]; rows that the table has not are looked up by nobody. */
  readonly ids: Tensor;
  /** Positions, by row, then in order; u32. */
  readonly positions: Tensor;
  /** The first step, which sums positions: into rows of the table if there is one step only. */
  readonly first: RowSums;
  /** The second step, which sums results of the first; null if each row of the table has few positions. */
  readonly second: RowSums | null;

  /**
   * Sorts ids by row once for a batch.
   *
   * @param rows Rows of the table.
   * @throws {OutOfMemoryError} They do not fit.
   */
  constructor(device: Device, ids: ArrayLike<number>, readonly rows: number) {
    const counts = new Uint32Array(rows);
    for (let t = 0; t < ids.length; t++) if (ids[t]! < rows) counts[ids[t]!]!++;
    const starts = new Uint32Array(rows);
    for (let row = 1; row < rows; row++) starts[row] = starts[row - 1]! + counts[row - 1]!;
    const total = rows ? starts[rows - 1]! + counts[rows - 1]! : 0;
    const positions = new Uint32Array(total);
    const next = starts.slice();
    for (let t = 0; t < ids.length; t++) if (ids[t]! < rows) positions[next[ids[t]!]!++] = t;
    const chunks: number[] = [], sums: number[] = [];
    let steps = 1;
    counts.forEach((count, row) => {
      if (!count) return;
      const begin = chunks.length / 3;
      for (let at = 0; at < count; at += CHUNK) {
        const start = starts[row]! + at;
        chunks.push(row, start, start + Math.min(CHUNK, count - at));
      }
      sums.push(row, begin, chunks.length / 3);
      if (count > CHUNK) steps = 2;
    });
    // with two steps the first makes a list
    if (steps === 2) { for (let i = 0; i < chunks.length; i += 3) chunks[i] = i / 3; }
    const upload = (data: ArrayLike<number>) =>
      device.from("u32", [Math.max(1, data.length)], Uint32Array.from(data.length ? data : [0]));
    this.length = ids.length;
    this.ids = upload(ids);
    this.positions = upload(positions);
    this.first = { entries: upload(chunks), count: chunks.length / 3 };
    this.second = steps === 2 ? { entries: upload(sums), count: sums.length / 3 } : null;
  }

  /** Frees the lists. */
  dispose(): void {
    for (const tensor of [this.ids, this.positions, this.first.entries, this.second?.entries]) {
      tensor?.dispose();
    }
  }

  /** Calls {@link Lookups.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
