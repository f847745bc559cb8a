import type { Approximations } from "../models/approximations.ts";
import { type Comparison, middle } from "./against.ts";
import type { Ceilings } from "../measuring/ceilings.ts";
import type { TorchComparison } from "./compare_torch.ts";
import type { EndToEnd, Share } from "../models/end_to_end.ts";
import type { GpuRow } from "../models/gpu.ts";
import type { GrowthRow, Slope } from "../models/growth.ts";
import type { KernelResult } from "../kernels/kernels.ts";
import type { LoadingRow } from "../models/loading.ts";
import { digits, SAMPLES, table } from "../measuring/measure.ts";
import type { Overheads } from "../measuring/overheads.ts";
import type { ModelShapes } from "../models/shapes.ts";
import type { StageFigure } from "../models/stages.ts";
import type { StorageRow } from "../models/storage.ts";
import type { TrainingReport } from "../models/training.ts";
import type { TuneRow } from "../kernels/tune.ts";
import { formatBytes } from "../../engine/mod.ts";

const print = console.log;
/** Weights of Infinity-2B, T5-XL and the VAE in f16. */
const LARGE_BYTES = 7.2e9;

/**
 * What one run measured. A part that was not asked for is absent; one that cannot be measured is a text that says why.
 */
export interface Report {
  machine?: Readonly<Record<string, string>>;
  ceilings?: Ceilings;
  overheads?: Overheads;
  loading?: readonly LoadingRow[];
  kernels?: { readonly rows: readonly KernelResult[] } | string;
  shapes?: readonly ModelShapes[] | string;
  gpu?: readonly GpuRow[];
  stages?: readonly StageFigure[];
  torch?: readonly TorchComparison[];
  endToEnd?: EndToEnd;
  approximations?: Approximations;
  storage?: readonly StorageRow[];
  training?: TrainingReport;
  growth?: { readonly rows: readonly GrowthRow[]; readonly slopes: readonly Slope[] };
  tuning?: readonly TuneRow[];
  against?: readonly Comparison[];
}

/** Formats milliseconds. */
function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${digits(milliseconds)} ms` : `${digits(milliseconds / 1000)} s`;
}

/** Prints ceilings and overheads. */
export function printCeilings(ceilings: Ceilings, overheads: Overheads): void {
  const { dispatch, encode, gpu, submit, readBack } = overheads;
  const half = ceilings["f16 GFLOP/s"], matrix = ceilings["matrix GFLOP/s"];
  const matrices = matrix ? `, ${digits(matrix)} GFLOP/s by subgroup matrices` : "";
  print(`
Ceilings: ${digits(ceilings["GFLOP/s"])} GFLOP/s f32 and ${
    half ? digits(half) : "no"
  } f16 (FMA in registers)${matrices}, ${digits(ceilings["GB/s"])} GB/s (copying large buffers)
Overheads: ${digits(dispatch)} us per dispatch, of it ${digits(encode)} us JavaScript${
    gpu === undefined ? "" : ` and ${digits(gpu)} us GPU`
  }; ${digits(submit)} us per submit, ${digits(readBack)} us per read-back`);
  const { forms } = ceilings;
  const units = forms.map(({ unit }) => unit);
  if (units.length <= new Set(forms.map(({ name }) => name.split(",")[0])).size) return;
  print("");
  print(
    table(["ceiling", "", ""], forms.map(({ name, rate, unit }) => [name, digits(rate), unit])),
  );
}

/** Prints the table of kernels. */
export function printKernels(
  rows: readonly KernelResult[],
  ceilings: Ceilings,
  cpu: boolean,
): void {
  print(`
Kernels, f32: GPU time, median and best of up to ${SAMPLES} samples. Rates are work over ${
    cpu ? "CPU time per core" : "the median"
  }.
"of ceiling" compares with the best this adapter reached in this run: ${
    digits(ceilings["GFLOP/s"])
  } GFLOP/s, ${digits(ceilings["GB/s"])} GB/s.
Rows in GB/s count each byte that must move; data that stays in a cache may exceed 100%.
`);
  const cells = rows.map(({ name, shape, milliseconds, best, cpu, rate, unit, percent }) => {
    const numbers = [digits(milliseconds), digits(best), digits(cpu), digits(rate)];
    return [name, shape, ...numbers, unit, `${percent.toFixed(0)}%`];
  });
  print(table(["kernel", "shape", "ms", "best", "CPU ms", "rate", "", "of ceiling"], cells));
}

/** Prints a model's kernels, scale by scale. */
export function printShapes({ title, rows, image }: ModelShapes, ceilings: Ceilings): void {
  const total = rows.reduce((sum, row) => sum + row.milliseconds, 0);
  print(`
${title}: GPU time of each kernel and shape, one pass per dispatch; ${duration(total)} in all; the
wall clock says ${duration(image.wall)} and the CPU per core ${duration(image.cpu)}
`);
  const shown = rows.filter(({ milliseconds }) => milliseconds > total / 200);
  const sections = [...new Set(rows.map(({ section }) => section))];
  const cells = sections.flatMap((section) =>
    shown.filter((row) => row.section === section).map((row) => [
      section,
      row.name,
      row.shape,
      digits(row.count),
      digits(row.milliseconds),
      `${(100 * row.milliseconds / total).toFixed(0)}%`,
      digits(row.rate),
      row.unit,
      `${(100 * row.rate / ceilings[row.unit]).toFixed(0)}%`,
    ])
  );
  const head = ["where", "kernel", "shape", "count", "ms", "share", "rate", "", "of ceiling"];
  print(table(head, cells));
  const rest = rows.length - shown.length;
  if (rest) print(`and ${rest} rows of less than 0.5% each, see --json`);
}

function printShares(title: string, shares: readonly Share[]): void {
  const total = shares.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  print(`\nGPU time of one warm image by ${title}, one pass per dispatch: ${digits(total)} ms\n`);
  const cells = shares.map((
    { name, count, milliseconds },
  ) => [name, digits(count), digits(milliseconds), `${(100 * milliseconds / total).toFixed(0)}%`]);
  print(table([title, "dispatches", "ms", "share"], cells));
}

/** Prints what was measured of emoji-nano from end to end. */
export function printEndToEnd({ figures, families, scales }: EndToEnd, skipped: string): void {
  print("\nemoji-nano, 32x32, f32, guided\n");
  const shown = figures.map(({ name, value, unit, note }) =>
    unit === "bytes"
      ? [name, ...formatBytes(value).split(" "), note]
      : [name, digits(value), unit, note]
  );
  print(table(["", "", "", ""], shown as string[][]).trimStart());
  if (!families || !scales) return print(`\nGPU time per kernel ${skipped}`);
  printShares("kernel", families);
  printShares("stage", scales);
}

/** Prints the speed of loading. */
export function printLoading(rows: readonly LoadingRow[]): void {
  print(
    "\nLoading 32 tensors of 2048x2048, compared with a loop that only reads and writes their bytes\n",
  );
  const cells = rows.map(({ what, rate, ratio, heap }) => [
    what,
    digits(rate),
    `${(100 * ratio).toFixed(0)}%`,
    formatBytes(heap),
  ]);
  print(table(["", "GB/s", "of the loop", "JS heap"], cells));
  const half = rows.find(({ what }) => what.startsWith("F16 to f16"));
  if (!half) return;
  const seconds = digits(LARGE_BYTES / 1e9 / half.rate);
  print(
    `At the rate of f16, the 2B and its text encoder take ${seconds} s; the target on an H200 is 3 s`,
  );
}

/** Prints what storage types cost. */
export function printStorage(rows: readonly StorageRow[]): void {
  print(
    "\nStorage types of emoji-nano against f32: logits after guidance, greedy, with f32's bits forced\n",
  );
  const cells = rows.map(({ type, weights, error, agreement }) => [
    type,
    formatBytes(weights),
    error.toExponential(1),
    `${(100 * agreement).toFixed(2)}%`,
  ]);
  print(table(["", "weights", "relative error", "bits that stay"], cells));
}

/** Prints how cost grows. */
export function printGrowth({ rows, slopes }: NonNullable<Report["growth"]>): void {
  print(
    "\nCost as work grows: planned (operations over the measured rate) and measured\n",
  );
  const cells = rows.map(({ axis, model, label, flops, planned, measured, peak, refused }) => [
    axis,
    axis === "model size" ? "" : model,
    label,
    digits(flops / 1e9),
    duration(planned),
    measured ? duration(measured.wall) : refused ? "transformer alone" : "not measured",
    measured ? duration(measured.cpu) : "",
    refused ? "the VAE exceeds one binding" : formatBytes(peak),
  ]);
  print(table(["axis", "model", "", "GFLOP", "planned", "measured", "CPU/cores", "peak"], cells));
  print("");
  for (const { axis, model, time, memory } of slopes) {
    print(
      `${axis}, ${model}: time grows as size^${time.toFixed(2)}, memory as size^${
        memory.toFixed(2)
      }`,
    );
  }
}

/** Prints which variants were chosen, and where they were saved. */
export function printTuning(rows: readonly TuneRow[], path: string): void {
  print("\nVariants of kernels: milliseconds, and which one is chosen\n");
  const cells = rows.map(({ choice, label, times, best }) => [
    choice,
    label,
    Object.entries(times).map(([variant, ms]) => `${variant}: ${digits(ms)}`).join("  "),
    best ?? "none",
  ]);
  print(table(["choice", "work", "ms", "chosen"], cells));
  for (const { choice, label, wrong } of rows) {
    for (const [variant, error] of Object.entries(wrong)) {
      print(
        `${choice}: ${variant} is wrong here (${label}: error ${digits(error)}), and not chosen`,
      );
    }
  }
  print(`\nSaved in ${path}; every model on this adapter will use it`);
}

/** Prints the comparison with an older report. */
export function printAgainst(rows: readonly Comparison[], path: string): void {
  print(
    `\nCompared with ${path}: old / new, above 1 is better; ${rows.length} numbers, median ${
      middle(rows).toFixed(2)
    }\n`,
  );
  const cells = rows.map((
    { what, old, now, ratio },
  ) => [ratio.toFixed(2), what, digits(old), digits(now)]);
  print(table(["ratio", "", "old", "new"], cells));
}
