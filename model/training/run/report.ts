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
  /** Images per second since the last report. */
  readonly imagesPerSecond: number;
  /** Tokens per second since the last report. */
  readonly tokensPerSecond: number;
  /** Learning rate of the last step. */
  readonly learningRate: number;
  /** Mean norm of all gradients, before they were clipped, over steps that changed parameters; NaN if none did. */
  readonly gradientNorm: number;
  /** What the loss of the last step was multiplied by. */
  readonly lossScale: number;
  /** Steps that changed no parameter, because gradients were too large for f16. */
  readonly skipped: number;
}

/** What is known of a step when it is recorded. */
export interface RecordedStep {
  /** Its number, from 0. */
  readonly step: number;
  /** Share of the training that was done. */
  readonly progress: number;
  /** Learning rate. */
  readonly rate: number;
  /** What the loss was multiplied by. */
  readonly scale: number;
  readonly images: number;
  readonly tokens: number;
}

/** A step, and what it left in the journal. */
export interface DoneStep {
  readonly recorded: RecordedStep;
  readonly row: JournalRow;
  /** When it ended, in seconds of training. */
  readonly seconds: number;
  /** Seconds that it took. */
  readonly duration: number;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/**
 * Sums up steps.
 *
 * @param steps One at least.
 * @param accumulate Passes of a step.
 */
export function summarise(steps: readonly DoneStep[], accumulate: number): StepReport {
  const { recorded: last, seconds } = steps.at(-1)!;
  const rows = steps.map(({ row }) => row);
  const updates = rows.filter(({ skipped }) => !skipped);
  const metrics = Object.fromEntries(
    Object.entries(rows[0]!.metrics).map(([name, first]) => [
      name,
      Array.from(first, (_, i) => mean(rows.map((row) => row.metrics[name]![i]! / accumulate))),
    ]),
  );
  const elapsed = Math.max(1e-6, sum(steps.map(({ duration }) => duration)));
  return {
    step: last.step + 1,
    loss: metrics.loss![0]!,
    metrics,
    seconds,
    imagesPerSecond: sum(steps.map(({ recorded }) => recorded.images)) / elapsed,
    tokensPerSecond: sum(steps.map(({ recorded }) => recorded.tokens)) / elapsed,
    learningRate: last.rate,
    gradientNorm: mean(updates.map(({ gradientNorm }) => gradientNorm)),
    lossScale: last.scale,
    skipped: rows.length - updates.length,
  };
}
