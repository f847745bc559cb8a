import type { JournalRow } from "./journal.ts";

/** What steps since the last report have come to. */
export interface StepReport {
  /** Steps done, over all runs. */
  readonly step: number;
  /** Mean loss of these steps. */
  readonly loss: number;
  /** Means of all metrics, by their names; `loss` is among them. */
  readonly metrics: Readonly<Record<string, readonly number[]>>;
  /** Seconds of training, over all runs. */
  readonly seconds: number;
  /** Rates since the last report. */
  readonly imagesPerSecond: number;
  readonly tokensPerSecond: number;
  /** Learning rate of the last step. */
  readonly learningRate: number;
  /** Mean norm of all gradients, before they were clipped, over steps that changed parameters. */
  readonly gradientNorm: number;
  /** What the loss of the last step was multiplied by. */
  readonly lossScale: number;
  /** Steps that changed no parameter, because gradients were too large for f16. */
  readonly skipped: number;
}

/** Steps that are read back together. */
export interface Window {
  /** Number of the first, from 0. */
  readonly first: number;
  /** How many there are. */
  rows: number;
  /** When they began. */
  readonly seconds: number;
  /** Learning rate of the last. */
  rate: number;
  /** What the loss of each was multiplied by. */
  readonly scales: number[];
  images: number;
  tokens: number;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Sums up the steps of a window.
 *
 * @param rows What the steps left, without those that came after the end of the training by NaN.
 * @param accumulate Passes of a step.
 * @param seconds When they ended.
 * @returns Null if there are none.
 */
export function summarise(
  window: Window,
  rows: readonly JournalRow[],
  accumulate: number,
  seconds: number,
): StepReport | null {
  if (rows.length === 0) return null;
  const updates = rows.filter(({ skipped }) => !skipped);
  const names = Object.keys(rows[0]!.metrics);
  const metrics = Object.fromEntries(names.map((name) => {
    const all = rows.map((row) => row.metrics[name]!);
    return [
      name,
      Array.from(all[0]!, (_, i) => mean(all.map((values) => values[i]! / accumulate))),
    ];
  }));
  const elapsed = Math.max(1e-3, seconds - window.seconds);
  return {
    step: window.first + rows.length,
    loss: metrics.loss![0]!,
    metrics,
    seconds,
    imagesPerSecond: window.images / elapsed,
    tokensPerSecond: window.tokens / elapsed,
    learningRate: window.rate,
    gradientNorm: mean(updates.map(({ gradientNorm }) => gradientNorm)),
    lossScale: window.scales.at(-1)!,
    skipped: rows.length - updates.length,
  };
}
