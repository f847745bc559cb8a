import process from "node:process";
import type { Device, Profiler } from "../engine/mod.ts";

/** Shorter runs are repeated until a sample holds about this many milliseconds. */
const SAMPLE = 10;
/** Samples of a kernel, fewer where one takes long. */
export const SAMPLES: number = 9;
/** Milliseconds that all samples of a kernel may take. */
const PATIENCE = 2000;

/** The middle value; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** Milliseconds of something: on the clock, and of this process's threads, per core. */
export interface Times {
  readonly wall: number;
  readonly cpu: number;
}

/** Times `work`; the clock alone says nothing on a machine with neighbours. */
export async function timed(work: () => Promise<unknown>): Promise<Times> {
  const before = process.cpuUsage();
  const began = performance.now();
  await work();
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { wall, cpu: (user + system) / 1000 / navigator.hardwareConcurrency };
}

/** Wall time of `work` in milliseconds. */
export async function wallTime(work: () => Promise<unknown>): Promise<number> {
  return (await timed(work)).wall;
}

/** Samples of the GPU time of all that `run` dispatches, per run, after warm-up; `cpu` is the process's time meanwhile. */
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
  const { wall } = await sample(1);
  const runs = Math.min(100, Math.max(1, Math.ceil(SAMPLE / wall)));
  if (runs > 1) await sample(runs);
  const samples: Times[] = [];
  const count = Math.max(3, Math.min(SAMPLES, Math.floor(PATIENCE / (runs * wall))));
  while (samples.length < count) samples.push(await sample(runs));
  return samples;
}

/** Three significant digits; whole numbers, and what has more digits, as whole. */
export function digits(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
}

/** Rows as aligned plain text; columns whose first cell is a number are aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = head.map((_, c) => rows.length > 0 && /^[\d.]+[%x]?$/.test(rows[0]![c]!));
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => row[c]!.length)));
  return [head, ...rows].map((row) =>
    row.map((cell, c) => right[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!))
      .join("  ").trimEnd()
  ).join("\n");
}
