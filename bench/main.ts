import { help, on, parseFlags, type Spec, text, UsageError } from "../commands/flags.ts";
import { Device, formatBytes } from "../engine/mod.ts";
import { benchEndToEnd, type EndToEnd } from "./end_to_end.ts";
import { benchKernels, KERNEL_NAMES } from "./kernels.ts";
import { benchLoading, type LoadingRow } from "./loading.ts";
import { digits, SAMPLES, table } from "./measure.ts";
import { benchStorage, type StorageRow } from "./storage.ts";

type Kernels = Awaited<ReturnType<typeof benchKernels>>;
const print = console.log;
const PARTS = ["kernels", "end_to_end", "loading", "storage", ...KERNEL_NAMES];
const SKIPPED = "skipped: this adapter has no timestamp queries";
const SPEC = {
  name: "bench",
  summary:
    "Times loading, every kernel against the adapter's ceilings, and emoji-nano from end to end.",
  words: "",
  flags: {
    "json": { type: on, help: "Print one JSON object" },
    "only": { type: { ...text, value: "NAME" }, help: "One part or one kernel" },
  },
  notes: [`NAME is one of ${PARTS.join(", ")}.`],
} as const satisfies Spec;

/** What the numbers were measured on. */
async function machine({ capabilities }: Device): Promise<Record<string, string>> {
  const cpu = await Deno.readTextFile("/proc/cpuinfo").catch(() => ""); // Linux alone has it
  const { adapter, architecture, class: kind, implementation, subgroupSize } = capabilities;
  const model = /^model name\s*: (.*)$/m.exec(cpu)?.[1] ?? "unknown";
  return {
    Adapter: `${adapter} ${architecture}`.trim(),
    Class: `${kind}, ${subgroupSize || "variable"} lanes, through ${implementation}`,
    Deno: `${Deno.version.deno} on ${Deno.build.os} ${Deno.build.arch}`,
    CPU: `${model}, ${navigator.hardwareConcurrency} cores`,
    Load: `${Deno.loadavg()[0]!.toFixed(2)} before the first measurement`,
  };
}

function printKernels({ ceilings, rows }: NonNullable<Kernels>): void {
  const [fma, copy] = [digits(ceilings["GFLOP/s"]), digits(ceilings["GB/s"])];
  print(`
Kernels, f32: GPU time, median and best of ${SAMPLES} samples; rates are the median's. "of ceiling" is of the
best this adapter did in this run: ${fma} GFLOP/s (FMA in registers), ${copy} GB/s (copying large
buffers). Rows in GB/s count each byte that must move; data that stay in cache may pass 100%.
`);
  const cells = rows.map(({ name, shape, milliseconds, best, rate, unit, percent }) => {
    const numbers = [digits(milliseconds), digits(best), digits(rate)];
    return [name, shape, ...numbers, unit, `${percent.toFixed(0)}%`];
  });
  print(table(["kernel", "shape", "ms", "best", "rate", "", "of ceiling"], cells));
}

function printEndToEnd({ figures, families }: EndToEnd): void {
  print("\nemoji-nano, 32x32, f32, guided\n");
  const shown = figures.map(({ name, value, unit, note }) =>
    unit === "bytes"
      ? [name, ...formatBytes(value).split(" "), note]
      : [name, digits(value), unit, note]
  );
  print(table(["", "", "", ""], shown as string[][]).trimStart());
  if (!families) return print(`\nGPU time per kernel ${SKIPPED}`);
  const total = families.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  print(`\nGPU time of one warm image, a pass per dispatch: ${digits(total)} ms\n`);
  const cells = families.map((
    { name, count, milliseconds },
  ) => [name, digits(count), digits(milliseconds), `${(100 * milliseconds / total).toFixed(0)}%`]);
  print(table(["kernel", "dispatches", "ms", "share"], cells));
}

function printLoading(rows: readonly LoadingRow[]): void {
  print(
    "\nLoading 32 tensors of 2048x2048, against a loop that only reads and writes their bytes\n",
  );
  const cells = rows.map(({ what, rate, ratio, heap }) => [
    what,
    digits(rate),
    `${(100 * ratio).toFixed(0)}%`,
    formatBytes(heap),
  ]);
  print(table(["", "GB/s", "of the loop", "JS heap"], cells));
}

function printStorage(rows: readonly StorageRow[]): void {
  print("\nStorage of emoji-nano against f32: logits after guidance, greedy, f32's bits forced\n");
  const cells = rows.map(({ type, weights, error, agreement }) => [
    type,
    formatBytes(weights),
    error.toExponential(1),
    `${(100 * agreement).toFixed(2)}%`,
  ]);
  print(table(["", "weights", "relative error", "bits that stay"], cells));
}

async function main(): Promise<number> {
  const { values: { json = false, only }, help: asked } = parseFlags(SPEC, Deno.args);
  if (asked) return print(help(SPEC).replace("bitwise bench", "deno task bench")), 0;
  if (only !== undefined && !PARTS.includes(only)) {
    throw new UsageError(`Cannot bench "${only}": it must be one of ${PARTS.join(", ")}`);
  }
  const report: Record<string, unknown> = {};
  {
    using device = await Device.open();
    const facts = report.machine = await machine(device);
    if (!json) {
      for (const [key, value] of Object.entries(facts)) print(`${key.padEnd(8)} ${value}`);
    }
    if (only === undefined || only === "loading") {
      const rows = await benchLoading(device);
      report.loading = rows;
      if (!json) printLoading(rows);
    }
    if (!["end_to_end", "loading", "storage"].includes(only ?? "")) {
      const kernels = await benchKernels(device, only === "kernels" ? undefined : only);
      report.kernels = kernels ?? SKIPPED;
      if (!json) kernels ? printKernels(kernels) : print(`\nKernels ${SKIPPED}`);
    }
  }
  if (only === undefined || only === "end_to_end") {
    const result = await benchEndToEnd();
    report.endToEnd = result.families ? result : { ...result, families: SKIPPED };
    if (!json) printEndToEnd(result);
  }
  if (only === undefined || only === "storage") {
    const rows = report.storage = await benchStorage();
    if (!json) printStorage(rows);
  }
  if (json) print(JSON.stringify(report));
  return 0;
}

// Vulkan's loader complains on stderr where this is not set
if (Deno.build.os === "linux" && !Deno.env.get("XDG_RUNTIME_DIR")) {
  Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
}
try {
  Deno.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`error: ${error.message}`);
  Deno.exitCode = 2;
}
