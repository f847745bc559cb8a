import { median } from "../measuring/measure.ts";

/** A number that two reports share, where smaller is better. */
export interface Comparison {
  readonly what: string;
  readonly old: number;
  readonly now: number;
  /** Old divided by new: above 1 is faster, or smaller. */
  readonly ratio: number;
}

type Json = Readonly<Record<string, unknown>>;

function rowsOf(report: Json, ...path: string[]): Json[] {
  let at: unknown = report;
  for (const key of path) at = (at as Json | undefined)?.[key];
  return Array.isArray(at) ? at : [];
}

/** Every time and size in a report, by what it measures. */
function times(report: Json): Map<string, number> {
  const found = new Map<string, number>();
  // CPU time where it is known: on a shared machine wall time says little
  for (const row of rowsOf(report, "kernels", "rows")) {
    found.set(`${row.name} ${row.shape}`, Number(row.cpu ?? row.milliseconds));
  }
  for (const { model, rows } of rowsOf(report, "shapes")) {
    for (const row of rows as Json[]) {
      found.set(
        `${model} ${row.section} ${row.name} ${row.shape}`.trim(),
        Number(row.milliseconds),
      );
    }
  }
  for (const row of rowsOf(report, "endToEnd", "figures")) {
    if (row.unit === "ms" || row.unit === "bytes") {
      found.set(`emoji-nano ${row.name}`, Number(row.value));
    }
  }
  return found;
}

/** Compares what both reports measured, the largest loss first. */
export function compare(old: Json, now: Json): Comparison[] {
  const before = times(old);
  return [...times(now)].flatMap(([what, time]) => {
    const known = before.get(what);
    return known ? [{ what, old: known, now: time, ratio: known / time }] : [];
  }).sort((a, b) => a.ratio - b.ratio);
}

/** The median ratio; NaN if there is none. */
export function middle(rows: readonly Pick<Comparison, "ratio">[]): number {
  return rows.length ? median(rows.map(({ ratio }) => ratio)) : NaN;
}
