import { middle } from "./against.ts";
import type { TorchComparison } from "./compare_torch.ts";
import { type GpuRow, GROUPS } from "../models/gpu.ts";
import { digits, table } from "../measuring/measure.ts";
import type { StageFigure } from "../models/stages.ts";

const print = console.log;

/** Prints one row as soon as it is measured, so that an end before the last one loses nothing. */
export function printGpuRow(
  { name, type, kernels, microseconds, rate, unit, percent }: GpuRow,
): void {
  const cells = [
    name.padEnd(42),
    type.padEnd(5),
    `${digits(microseconds)} us`.padStart(10),
    `${digits(rate)} ${unit}`.padStart(13),
    `${percent.toFixed(0)}%`.padStart(5),
  ];
  print(`${cells.join("  ")}  ${kernels.join(", ")}`);
}

/** Prints what the columns of {@link printGpuRow} mean. */
export function printGpuHead(): void {
  print(`
Shapes of the 2B at 1024x1024, guided: time of one run in a row of them, gaps included; percent of what the
adapter's ceilings allow for its operations or its bytes, whichever take longer; kernels that ran
`);
}

/** Prints the sums of the groups over an image: a product or attention of a scale runs once per block. */
export function printGpuSums(rows: readonly GpuRow[]): void {
  const cells = GROUPS.flatMap((group) => {
    const own = rows.filter((row) => row.group === group && row.type === "f16");
    if (own.length === 0) return [];
    const sum = own.reduce((total, { microseconds }) => total + microseconds, 0);
    const percents = own.map(({ percent }) => percent).sort((a, b) => a - b);
    const at = (share: number) =>
      `${percents[Math.floor(share * (percents.length - 1))]!.toFixed(0)}%`;
    return [[group, `${own.length}`, digits(sum / 1000), at(0), at(0.5), at(1)]];
  });
  if (cells.length === 0) return;
  print("");
  print(table(["f16", "rows", "ms, each once", "least", "median", "most"], cells));
}

/** Prints the figures of models from end to end. */
export function printStages(figures: readonly StageFigure[]): void {
  print("\nImages from end to end; targets are those for an NVIDIA H200\n");
  const cells = figures.map(({ name, value, unit, target, note }) => [
    name,
    digits(value),
    unit,
    target === undefined ? "" : `<= ${digits(target)}`,
    target === undefined ? "" : value <= target ? "reached" : "missed",
    note,
  ]);
  print(table(["", "", "", "target", "", ""], cells));
}

/** Prints the comparison with another program's times. */
export function printTorch(
  rows: readonly TorchComparison[],
  machine: string,
  path: string,
): void {
  print(`\nBeside ${path} (${machine}): theirs / ours, above 1 we are faster; ${rows.length} rows`);
  if (rows.length === 0) return print("No row of this run is in it; try --only gpu");
  print("");
  const cells = rows.map(({ name, type, ours, theirs, ratio }) => [
    ratio.toFixed(2),
    name,
    type,
    `${digits(ours)} us`,
    `${digits(theirs)} us`,
  ]);
  print(table(["ratio", "", "", "ours", "theirs"], cells));
  print(`Median ${middle(rows).toFixed(2)}`);
}
