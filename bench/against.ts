import { median } from "./measure.ts";

/** One number of two reports, the larger the worse. */
export interface Comparison {
  readonly what: string;
  readonly old: number;
  readonly now: number;
  /** Old by new: above 1 is faster, or smaller. */
  readonly ratio: number;
}

type Json = Readonly<Record<string, unknown>>;

function rowsOf(report: Json, ...path: string[]): Json[] {
  let at: unknown = report;
  for (const key of path) at = (at as Json | undefined)?.[key];
  return Array.isArray(at) ? at : [];
}

/** Every time in a report, by what it is of. */
function times(report: Json): Map<string, number> {
  const found = new Map<string, number>();
  // of the CPU where it is known: the clock of a shared machine tells little
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

/** What both reports measured, the largest loss first. */
export function compare(old: Json, now: Json): Comparison[] {
  const before = times(old);
  return [...times(now)].flatMap(([what, time]) => {
    const known = before.get(what);
    return known ? [{ what, old: known, now: time, ratio: known / time }] : [];
  }).sort((a, b) => a.ratio - b.ratio);
}

/** The middle ratio; NaN without any. */
export function middle(rows: readonly Comparison[]): number {
  return rows.length ? median(rows.map(({ ratio }) => ratio)) : NaN;
}
