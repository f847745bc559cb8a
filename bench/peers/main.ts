/**
 * Times the same work on other WebGPU engines that run in Deno and on this project's kernels, in one process, taking
 * turns.
 *
 * Not measured: torchlette (not on npm), taichi.js 0.0.36 (its bundle fails to load: `platform is not a function`),
 * greed.js 3.1.3 (works only in a browser), TVM's @mlc-ai/web-runtime (loads, but has no kernels of its own: a model
 * compiled by TVM's Python brings them), @ratchet-ml/ratchet-web and @mlc-ai/web-llm (whole language models only),
 * @huggingface/transformers (it is onnxruntime-web). npm has no package with the kernels of burn or candle.
 *
 * @module
 */

import process from "node:process";
import { digits, median, table } from "../measuring/measure.ts";
import { help, parseFlags, type Spec, UsageError } from "../../commands/flags/flags.ts";
import { on, text } from "../../commands/flags/types.ts";
import { Bitwise } from "./bitwise.ts";
import { type Case, CASES } from "./cases.ts";
import type { Peer, Prepared } from "./engine.ts";
import { JaxJs } from "./jax.ts";
import { LiteRtJs } from "./litert.ts";
import { OnnxRuntime } from "./onnxruntime.ts";
import { Tfjs } from "./tfjs.ts";
import { WebgpuTorch } from "./webgpu_torch.ts";

const print = console.log;
/** Milliseconds that a sample takes at least: waiting for the GPU takes up to 11 ms of it in Deno. */
const SAMPLE = { cpu: 100, gpu: 300 };
const SAMPLES = 7;
/** An engine is measured only once if a run takes longer than this, and this many times as long as bitwise's. */
const ENDLESS = { milliseconds: 3000, times: 16 };
/** Most runs in one sample. */
const MAX_RUNS = 65536;
/** Largest difference between the results of two engines, relative to the largest value. */
const TOLERANCE = 1e-4;
const NAMES = [...new Set(CASES.map(({ name }) => name))];
const PEERS: Readonly<Record<string, () => Promise<Peer>>> = {
  "onnxruntime-web webgpu": () => OnnxRuntime.open("webgpu"),
  "onnxruntime-web jsep": () => OnnxRuntime.open("jsep"),
  "jax-js": JaxJs.open,
  "litert": LiteRtJs.open,
  "tfjs-backend-webgpu": Tfjs.open,
  "webgpu-torch": WebgpuTorch.open,
};
const SPEC = {
  name: "bench:peers",
  summary: "Times other WebGPU engines and this one on the same work, taking turns.",
  words: "",
  flags: {
    "json": { type: on, help: "Print one JSON object" },
    "only": { type: { ...text, value: "CASE" }, help: "One kind of work" },
  },
  notes: [`CASE is one of ${NAMES.join(", ")}.`],
} as const satisfies Spec;

/** One engine on one case: milliseconds per run, or why there are none. */
interface Row {
  readonly case: string;
  readonly shape: string;
  readonly bound: Case["bound"];
  readonly engine: string;
  readonly wall?: number;
  /** CPU time of all threads, over the number of cores. */
  readonly cpu?: number;
  readonly rate?: number;
  readonly unit?: string;
  /** Its time over bitwise's. */
  readonly ratio?: number;
  readonly samples: number;
  readonly failure?: string;
}

interface Sample {
  readonly wall: number;
  readonly cpu: number;
}

/** An engine that is ready for a case, or has failed. */
interface Entry {
  readonly engine: string;
  prepared?: Prepared;
  runs: number;
  failure?: string;
  readonly samples: Sample[];
}

/** Time of the whole process per run; nothing is subtracted. */
async function sample(prepared: Prepared, runs: number): Promise<Sample> {
  const [began, before] = [performance.now(), process.cpuUsage()];
  await prepared.run(runs);
  const { user, system } = process.cpuUsage(before);
  const cores = navigator.hardwareConcurrency;
  return {
    wall: (performance.now() - began) / runs,
    cpu: (user + system) / 1000 / cores / runs,
  };
}

/**
 * Makes all engines ask for the same adapter, of several, as this project does; returns the names of those they got.
 * Keeps the adapter objects: Deno 2.9 panics if one reads `device.adapterInfo` after its adapter was collected.
 */
function shareAdapter(): Set<string> {
  const request = GPU.prototype.requestAdapter;
  const kept: (GPUAdapter | null)[] = [];
  const names = new Set<string>();
  GPU.prototype.requestAdapter = async function (options) {
    const adapter = await request.call(this, { ...options, powerPreference: "high-performance" });
    kept.push(adapter);
    if (adapter) names.add(adapter.info.description);
    return adapter;
  };
  return names;
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : `${error}`).split("\n")[0]!
    .slice(0, 100);
}

/** Compiles, compares with the first engine's `output`, and finds how many runs fill a sample. */
async function warmUp(
  entry: Entry,
  least: number,
  first?: { output: Float32Array; once: Sample },
) {
  const prepared = entry.prepared!;
  await prepared.run(prepared.step);
  const output = await prepared.output();
  const error = first ? difference(output, first.output) : 0;
  if (!(error <= TOLERANCE)) {
    throw new Error(`the result differs by ${error.toExponential(1)}`);
  }
  entry.runs = prepared.step;
  let once = await sample(prepared, entry.runs);
  // by doubling, because the time of one run is mostly the wait for it
  while (once.wall * entry.runs < least && entry.runs < MAX_RUNS) {
    entry.runs *= 2;
    once = await sample(prepared, entry.runs);
  }
  const { milliseconds, times } = ENDLESS;
  if (first && once.wall > Math.max(milliseconds, times * first.once.wall)) {
    entry.samples.push(once);
  }
  return { output, once };
}

function difference(output: Float32Array, expected: Float32Array): number {
  if (output.length !== expected.length) return Infinity;
  let [largest, most] = [0, 0];
  for (let i = 0; i < output.length; i++) {
    const error = Math.abs(output[i]! - expected[i]!);
    if (!(error <= most)) most = error; // NaN too
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return most / largest;
}

/** Measures all engines on one case, taking turns after each sample. The others are compared with the first. */
async function measure(
  peers: readonly Peer[],
  { make }: Case,
  least: number,
): Promise<Entry[]> {
  const problem = make();
  const entries: Entry[] = [];
  let first: Awaited<ReturnType<typeof warmUp>> | undefined;
  for (const peer of peers) {
    const entry: Entry = { engine: peer.name, runs: 0, samples: [] };
    entries.push(entry);
    try {
      entry.prepared = await peer.prepare(problem);
      const result = await warmUp(entry, least, first);
      first ??= result;
    } catch (error) {
      if (!first) throw error; // nothing to compare with
      entry.failure = reason(error);
    }
  }
  const ready = entries.filter(({ failure, samples }) => failure === undefined && !samples.length);
  for (let i = 0; i < SAMPLES; i++) {
    for (const { prepared, runs, samples } of ready) {
      samples.push(await sample(prepared!, runs));
    }
  }
  for (const { prepared } of entries) prepared?.dispose();
  return entries;
}

/** Turns entries into rows. `software` adapters are rated by CPU time, because other programs disturb wall time. */
function rows(
  entries: readonly Entry[],
  { name, shape, bound, work }: Case,
  software: boolean,
) {
  const time = (samples: readonly Sample[], by: keyof Sample) => median(samples.map((s) => s[by]));
  const rated = software ? "cpu" : "wall";
  const own = time(entries[0]!.samples, rated);
  return entries.map(({ engine, failure, samples }): Row => {
    const row = { case: name, shape, bound, engine, samples: samples.length };
    if (failure !== undefined) return { ...row, failure };
    const milliseconds = time(samples, rated);
    return {
      ...row,
      wall: time(samples, "wall"),
      cpu: time(samples, "cpu"),
      rate: work / milliseconds / 1e6,
      unit: bound === "compute" ? "GFLOP/s" : "GB/s",
      ratio: milliseconds / own,
    };
  });
}

/** Compares with the fastest peer of each case. */
function summarise(all: readonly Row[]) {
  const cases = new Map<string, { bound: string; ratio: number }>();
  for (const { case: name, shape, bound, engine, ratio } of all) {
    if (ratio === undefined || engine === "bitwise") continue;
    const key = `${name} ${shape}`;
    cases.set(key, {
      bound,
      ratio: Math.min(ratio, cases.get(key)?.ratio ?? Infinity),
    });
  }
  const ratios = [...cases.values()];
  const compute = ratios.filter(({ bound }) => bound === "compute").map((
    { ratio },
  ) => ratio);
  const lowest = [...cases].sort(([, a], [, b]) => a.ratio - b.ratio)[0];
  return {
    cases: ratios.length,
    won: ratios.filter(({ ratio }) => ratio >= 1).length,
    lowest: lowest && { case: lowest[0], ratio: lowest[1].ratio },
    medianCompute: compute.length ? median(compute) : undefined,
  };
}

function printRows(all: readonly Row[], software: boolean): void {
  const cells = all.map((row) => {
    const numbers = row.failure === undefined
      ? [
        digits(row.wall!),
        digits(row.cpu!),
        digits(row.rate!),
        row.unit!,
        row.ratio!.toFixed(2),
        row.samples === 1 ? "one sample" : "",
      ]
      : ["", "", "", "", "", row.failure];
    return [row.case, row.shape, row.bound, row.engine, ...numbers];
  });
  print(`
Milliseconds per run, medians of ${SAMPLES} samples taken in turns. "wall" is wall time,
"cpu" the CPU time of all threads over the number of cores. Rate and ratio use ${
    software ? "CPU time, because the adapter is a CPU" : "wall time"
  }; ratio is an engine's time over bitwise's.
`);
  print(
    table([
      "case",
      "shape",
      "bound",
      "engine",
      "wall",
      "cpu",
      "rate",
      "",
      "ratio",
      "",
    ], cells),
  );
}

async function main(): Promise<number> {
  const { values: { json = false, only }, help: asked } = parseFlags(
    SPEC,
    Deno.args,
  );
  if (asked) {
    return print(help(SPEC).replace("bitwise bench", "deno task bench")), 0;
  }
  if (only !== undefined && !NAMES.some((name) => name === only)) {
    throw new UsageError(
      `Cannot bench "${only}": it must be one of ${NAMES.join(", ")}`,
    );
  }
  const adapters = shareAdapter();
  const bitwise = await Bitwise.open();
  const { adapter, architecture, class: kind } = bitwise.device.capabilities;
  const software = kind === "cpu";
  const machine = {
    Adapter: `${adapter} ${architecture}`.trim(),
    Deno: `${Deno.version.deno} on ${Deno.build.os} ${Deno.build.arch}`,
    Cores: `${navigator.hardwareConcurrency}`,
    Load: `${Deno.loadavg()[0]!.toFixed(2)} before the first measurement`,
  };
  const peers: Peer[] = [bitwise];
  const refused: Record<string, string> = {};
  for (const [name, open] of Object.entries(PEERS)) {
    try {
      peers.push(await open());
    } catch (error) {
      refused[name] = reason(error);
    }
  }
  if (!json) {
    for (const [key, value] of Object.entries(machine)) {
      print(`${key.padEnd(8)} ${value}`);
    }
    for (const [name, why] of Object.entries(refused)) {
      print(`${name} cannot be loaded: ${why}`);
    }
  }
  if (!json && adapters.size > 1) {
    print(`Engines took different adapters: ${[...adapters].join(", ")}`);
  }
  const all: Row[] = [];
  for (const each of CASES) {
    if (only !== undefined && each.name !== only) continue;
    if (!json) {
      await Deno.stderr.write(
        new TextEncoder().encode(`${each.name} ${each.shape}\n`),
      );
    }
    all.push(...rows(await measure(peers, each, SAMPLE[kind]), each, software));
  }
  const summary = summarise(all);
  if (json) {
    return print(JSON.stringify({ machine, adapters: [...adapters], refused, rows: all, summary })),
      0;
  }
  printRows(all, software);
  const { won, cases, lowest, medianCompute } = summary;
  print(
    `\nWon ${won} of ${cases} cases against the fastest peer; lowest ratio ${
      lowest ? `${lowest.ratio.toFixed(2)} (${lowest.case})` : "none"
    }, median ratio of the compute-bound ${medianCompute?.toFixed(2) ?? "none"}`,
  );
  return 0;
}

try {
  Deno.exit(await main()); // engines leave timers and threads running
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`error: ${error.message}`);
  Deno.exit(2);
}
