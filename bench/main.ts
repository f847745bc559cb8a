import { compare } from "./reports/against.ts";
import { approximationTables, benchApproximations } from "./models/approximations.ts";
import { better, type Ceilings, ceilings } from "./measuring/ceilings.ts";
import { reportCharts } from "./reports/charts.ts";
import { compareTorch, readTorch, type TorchTimes } from "./reports/compare_torch.ts";
import { benchEndToEnd } from "./models/end_to_end.ts";
import { benchGpuRows, type GpuRow, GROUPS } from "./models/gpu.ts";
import { benchGrowth } from "./models/growth.ts";
import { benchKernels, KERNEL_NAMES } from "./kernels/kernels.ts";
import { benchLoading } from "./models/loading.ts";
import { overheads } from "./measuring/overheads.ts";
import * as show from "./reports/report.ts";
import * as showGpu from "./reports/report_gpu.ts";
import { printTraining } from "./reports/report_training.ts";
import { benchShapes, MODELS } from "./models/shapes.ts";
import { runMain } from "./run_main.ts";
import { Spans } from "./measuring/spans.ts";
import { benchStages, STAGED, type StageFigure } from "./models/stages.ts";
import { benchStorage } from "./models/storage.ts";
import { benchTraining, HEAD_WIDTHS } from "./models/training.ts";
import { tune } from "./kernels/tune.ts";
import { help, parseFlags, type Spec, UsageError } from "../commands/flags/flags.ts";
import { on, path, text } from "../commands/flags/types.ts";
import { GPU_FLAG } from "../commands/flags/gpu.ts";
import { implementation } from "../model/parts/choose_gpu.ts";
import { Device, type DeviceOptions, FileError, type Profiler } from "../engine/mod.ts";
import { writeFileAtomic } from "../model/checkpoint/files.ts";
import { savedTuning, saveTuning, trainingTuning } from "../model/parts/tuning.ts";

/** Parts that a CPU measures only if they are named: rows of a large model, training, and images by stage. */
const GPU_PARTS = ["gpu", ...GROUPS.map((group) => `gpu-${group}`), "training", "stages"];
const PARTS = [
  ...["kernels", "shapes", "end_to_end", "growth", "approximations", "loading", "storage"],
  ...GPU_PARTS,
  ...KERNEL_NAMES,
];
const SKIPPED = "skipped: this adapter has no timestamp queries";
const MODEL_NAMES = [...new Set([...MODELS.map(({ name }) => name), ...STAGED])];
/** Longest time, in seconds, that an image of {@link benchGrowth} may take. */
const PATIENCE = 90;
/** Most bytes that such an image may hold. */
const ROOM = 12e9;
const SPEC = {
  name: "bench",
  summary: "Times every kernel against the adapter's ceilings, and emoji-nano from end to end.",
  words: "",
  flags: {
    "only": { type: { ...text, value: "NAME" }, help: "One part or one kernel" },
    "models": {
      type: { ...text, value: "NAME[,NAME…]" },
      help: `Models of shapes and stages: ${
        MODEL_NAMES.join(", ")
      } (all but the last; on a CPU the first two)`,
    },
    "wide": { type: on, help: "On lavapipe, use 512-bit registers, as wide models do (AVX-512)" },
    ...GPU_FLAG,
    "tune": { type: on, help: "Time the variants of kernels on this adapter and save the fastest" },
    "json": { type: on, help: "Print one JSON object" },
    "save": { type: path, help: "Write that JSON object to a file" },
    "svg": { type: path, help: "Write the charts to a file" },
    "compare-torch": {
      type: { ...path, value: "TIMES.json" },
      help: "Put another program's times beside those of gpu and stages",
    },
    "against": { type: { ...path, value: "OLD.json" }, help: "Compare with a saved run" },
  },
  notes: [`NAME is one of ${PARTS.join(", ")}.`],
} as const satisfies Spec;

/** Describes the machine that the numbers come from. */
async function machine({ capabilities }: Device): Promise<Record<string, string>> {
  const cpu = await Deno.readTextFile("/proc/cpuinfo").catch(() => ""); // only Linux has it
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

async function oldReport(path: string): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    const why = error instanceof SyntaxError ? "it is not JSON" : (error as Error).message;
    throw new FileError("not-readable", `Cannot compare with "${path}": ${why}`);
  }
}

/** What the command line asks for. */
interface Asked {
  /** Whether to measure a part on an adapter of a class; of any class if absent. */
  readonly wants: (part: string, adapter?: "cpu" | "gpu") => boolean;
  /** The only kernel to measure, if one is named. */
  readonly kernel?: string;
  /** Names of the models whose shapes, or images by stage, are timed. */
  readonly models: (cpu: boolean) => readonly string[];
  readonly tune: boolean;
  /** Calls `print` unless the output is JSON. */
  readonly tell: (print: () => void) => void;
  /** Called when a part is measured. */
  readonly done: () => Promise<void>;
}

/** Measures everything that needs timestamps, on a profiled device. */
async function benchProfiled(
  device: Device,
  profiler: Profiler,
  report: show.Report,
  asked: Asked,
) {
  const cpu = device.capabilities.class === "cpu";
  const { wants, kernel, tell } = asked;
  if (asked.tune) {
    const { tuning, rows } = await tune(device, profiler);
    const path = await saveTuning(device, tuning);
    report.tuning = rows;
    return tell(() => show.printTuning(rows, path));
  }
  let top: Ceilings = report.ceilings!;
  if (wants("kernels") || kernel) {
    const rows = await benchKernels(device, profiler, kernel);
    // measured twice: another program may have slowed the first
    top = report.ceilings = better(top, await ceilings(device, profiler));
    const percent = rows.map((row) => ({ ...row, percent: 100 * row.rate / top[row.unit] }));
    report.kernels = { rows: percent };
    tell(() => show.printKernels(percent, top, cpu));
  }
  if (!wants("shapes")) return;
  const shapes = [];
  for (const model of MODELS.filter(({ name }) => asked.models(cpu).includes(name))) {
    const result = await benchShapes(device, profiler, model);
    shapes.push(result);
    tell(() => show.printShapes(result, top));
  }
  report.shapes = shapes;
}

/** Measures rows of a large model, and images by stage, on devices that are not profiled. */
async function benchOnGpu(
  open: () => Promise<Device>,
  adapter: "cpu" | "gpu",
  report: show.Report,
  asked: Asked,
) {
  const { wants, tell } = asked;
  const groups = GROUPS.filter((group) => wants("gpu", adapter) || wants(`gpu-${group}`, adapter));
  if (groups.length > 0 && report.ceilings) {
    using device = await open();
    tell(showGpu.printGpuHead);
    const rows: GpuRow[] = [];
    report.gpu = rows;
    for await (const row of benchGpuRows(device, Spans.of(device)!, report.ceilings, groups)) {
      rows.push(row);
      tell(() => showGpu.printGpuRow(row));
      await asked.done();
    }
    tell(() => showGpu.printGpuSums(rows));
  }
  if (!wants("stages", adapter)) return;
  const figures: StageFigure[] = [];
  report.stages = figures;
  for (const name of STAGED.filter((name) => asked.models(adapter === "cpu").includes(name))) {
    const first = figures.length;
    for await (const figure of benchStages(name, open)) {
      figures.push(figure);
      await asked.done();
    }
    tell(() => showGpu.printStages(figures.slice(first)));
  }
}

/** Measures training on a device that is not profiled. */
async function benchSteps(
  how: DeviceOptions,
  adapter: "cpu" | "gpu",
  report: show.Report,
  { wants, tell, done }: Asked,
) {
  if (!wants("training", adapter)) return;
  using device = await Device.open(how);
  device.tuning = await trainingTuning(device, how.gpu, HEAD_WIDTHS);
  const result = report.training = await benchTraining(device, report.ceilings);
  tell(() => printTraining(result, adapter === "cpu"));
  await done();
}

async function bench(asked: Asked, how: DeviceOptions, report: show.Report): Promise<void> {
  const { wants, kernel, tell } = asked;
  const open = async () => {
    const device = await Device.open(how);
    device.tuning = await savedTuning(device);
    return device;
  };
  let adapter: "cpu" | "gpu";
  {
    using device = await open();
    adapter = device.capabilities.class;
    const facts = report.machine = await machine(device);
    tell(() => {
      for (const [key, value] of Object.entries(facts)) console.log(`${key.padEnd(8)} ${value}`);
    });
    if (wants("loading")) {
      const rows = report.loading = await benchLoading(device);
      tell(() => show.printLoading(rows));
    }
    const rows = ["kernels", "shapes", "growth"].some((part) => wants(part)) || kernel ||
      GPU_PARTS.some((part) => part !== "stages" && wants(part, adapter));
    if (rows || asked.tune) {
      const costs = report.overheads = await overheads(device);
      const profiler = device.profile();
      if (profiler) {
        const top = report.ceilings = await ceilings(device, profiler);
        tell(() => show.printCeilings(top, costs));
        await benchProfiled(device, profiler, report, asked);
      } else {
        report.kernels = report.shapes = SKIPPED;
        tell(() => console.log(`\nCeilings, kernels and shapes ${SKIPPED}`));
      }
    }
    await asked.done();
  }
  await benchSteps(how, adapter, report, asked);
  await benchOnGpu(open, adapter, report, asked);
  if (wants("growth")) {
    using device = await open();
    const rate = (report.ceilings?.["GFLOP/s"] ?? 1000) * 1e6 / 2;
    const growth = report.growth = await benchGrowth(device, PATIENCE, ROOM, rate);
    tell(() => show.printGrowth(growth));
  }
  if (wants("end_to_end")) {
    const result = report.endToEnd = await benchEndToEnd(how.gpu);
    tell(() => show.printEndToEnd(result, SKIPPED));
  }
  if (wants("approximations")) {
    const result = report.approximations = await benchApproximations();
    tell(() => console.log(approximationTables(result)));
  }
  if (wants("storage")) {
    const rows = report.storage = await benchStorage();
    tell(() => show.printStorage(rows));
  }
}

/** What a comparison with another program's times needs of a report. */
function timesOf({ gpu = [], stages = [] }: show.Report) {
  const images = stages.filter(({ unit }) => unit === "ms");
  return [...gpu, ...images.map(({ name, value }) => ({ name, microseconds: 1000 * value }))];
}

async function main(): Promise<number> {
  const { values: given, help: asked } = parseFlags(SPEC, Deno.args);
  if (asked) return console.log(help(SPEC).replace("bitwise bench", "deno task bench")), 0;
  const { only, json = false, against, "compare-torch": torchPath } = given;
  if (only !== undefined && !PARTS.includes(only)) {
    throw new UsageError(`Cannot bench "${only}": it must be one of ${PARTS.join(", ")}`);
  }
  if (given.tune && only !== undefined) {
    throw new UsageError("Cannot use --tune and --only together: tuning measures nothing else");
  }
  const models = given.models?.split(",");
  const unknown = models?.find((name) => !MODEL_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`Cannot time "${unknown}": it must be one of ${MODEL_NAMES.join(", ")}`);
  }
  const old = against === undefined ? null : await oldReport(against);
  const torch: TorchTimes | null = torchPath === undefined ? null : await readTorch(torchPath);
  const write = (path: string, content: string) =>
    writeFileAtomic(path, new TextEncoder().encode(content));
  const tuneOnly = given.tune ?? false;
  const report: show.Report = {};
  await bench(
    {
      wants: (part, adapter = "gpu") =>
        !tuneOnly && (only === undefined ? adapter === "gpu" : only === part),
      kernel: only !== undefined && KERNEL_NAMES.includes(only) ? only : undefined,
      models: (cpu) => models ?? MODEL_NAMES.slice(0, cpu ? 2 : 3),
      tune: tuneOnly,
      tell: (print) => json || print(),
      // what was measured is not lost if the rest is stopped
      done: async () => void (given.save && await write(given.save, `${JSON.stringify(report)}\n`)),
    },
    { wide: given.wide, gpu: await implementation(given.gpu) },
    report,
  );
  if (old) {
    const rows = report.against = compare(old, report as Record<string, unknown>);
    if (!json) show.printAgainst(rows, against!);
  }
  if (torch) {
    const rows = report.torch = compareTorch(torch, timesOf(report));
    if (!json) showGpu.printTorch(rows, torch.machine, torchPath!);
  }
  const text = JSON.stringify(report);
  if (json) console.log(text);
  if (given.save) await write(given.save, `${text}\n`);
  if (given.svg) await write(given.svg, reportCharts(report));
  return 0;
}

await runMain(main);
