import process from "node:process";
import { heat } from "./heat.ts";
import type { Device, Profiler } from "../../engine/mod.ts";

/** Milliseconds per sample: shorter runs are repeated until they take about this long. */
const SAMPLE = 10;
/** Samples per kernel; fewer if one takes long. */
export const SAMPLES: number = 9;
/** Milliseconds that all samples of a kernel may take together. */
const PATIENCE = 2000;

/** The median; the mean of the two values in the middle if their number is even. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** The value below or at which a part of all values lies, by rank; NaN of none. */
export function percentile(values: ArrayLike<number>, part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.ceil(part * sorted.length) - 1] ?? NaN;
}

/** The mean; there must be a value. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Milliseconds of wall time, and of CPU time of this process per core. */
export interface Times {
  readonly wall: number;
  readonly cpu: number;
}

/** Times `work`. Wall time alone says little on a shared machine. */
export async function timed(work: () => Promise<unknown>): Promise<Times> {
  const before = process.cpuUsage();
  const began = performance.now();
  await work();
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { wall, cpu: (user + system) / 1000 / navigator.hardwareConcurrency };
}

/** Returns the wall time of `work` in milliseconds. */
export async function wallTime(work: () => Promise<unknown>): Promise<number> {
  return (await timed(work)).wall;
}

/**
 * Samples the GPU time of all that `run` dispatches, per run, on a warm device; `cpu` is the CPU time of the process.
 */
export async function gpuTimes(
  device: Device,
  profiler: Profiler,
  run: () => void,
): Promise<Times[]> {
  const sample = async (runs: number): Promise<Times> => {
    let gpu = 0;
    const { cpu } = await timed(async () => {
      for (let i = 0; i < runs; i++) run();
      device.flush();
      for (const { milliseconds } of await profiler.report()) gpu += milliseconds;
    });
    device.check();
    return { wall: gpu / runs, cpu: cpu / runs };
  };
  await sample(1); // compiles
  await heat(device);
  await profiler.report(); // discards the time of heating
  const { wall } = await sample(1);
  const runs = Math.min(100, Math.max(1, Math.ceil(SAMPLE / wall)));
  if (runs > 1) await sample(runs);
  const samples: Times[] = [];
  const count = Math.max(3, Math.min(SAMPLES, Math.floor(PATIENCE / (runs * wall))));
  while (samples.length < count) samples.push(await sample(runs));
  return samples;
}

/**
 * Formats a number with three significant digits, or as an integer if it is one or has more digits before the point.
 */
export function digits(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
}

/** Formats rows as aligned plain text. Columns whose first cell is a number are aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = head.map((_, c) => rows.length > 0 && /^[\d.]+[%x]?$/.test(rows[0]![c]!));
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => row[c]!.length)));
  return [head, ...rows].map((row) =>
    row.map((cell, c) => right[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!))
      .join("  ").trimEnd()
  ).join("\n");
}
