import type { Device, Profiler } from "../engine/mod.ts";

/** Shorter runs are repeated until a sample holds about this many milliseconds. */
const SAMPLE = 10;
/** Samples of a kernel. */
export const SAMPLES: number = 9;

/** The middle value; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** Wall time of `work` in milliseconds. */
export async function wallTime(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Samples of the GPU time of all that `run` dispatches, in milliseconds per run, after warm-up. */
export async function gpuTimes(
  device: Device,
  profiler: Profiler,
  run: () => void,
): Promise<number[]> {
  const sample = async (runs: number) => {
    for (let i = 0; i < runs; i++) run();
    device.flush();
    const times = await profiler.report();
    device.check();
    return times.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / runs;
  };
  await sample(1); // compiles
  const runs = Math.min(100, Math.max(1, Math.ceil(SAMPLE / await sample(1))));
  await sample(runs);
  const samples: number[] = [];
  for (let i = 0; i < SAMPLES; i++) samples.push(await sample(runs));
  return samples;
}

/** Three significant digits; whole numbers, and what has more digits, as whole. */
export function digits(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
}

/** Rows as aligned plain text; columns whose first cell is a number are aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = head.map((_, c) => rows.length > 0 && /^[\d.]+%?$/.test(rows[0]![c]!));
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => row[c]!.length)));
  return [head, ...rows].map((row) =>
    row.map((cell, c) => right[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!))
      .join("  ").trimEnd()
  ).join("\n");
}
