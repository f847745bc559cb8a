import type { Ceilings } from "../measuring/ceilings.ts";
import { Operands, type Row, ROWS, type Work } from "./gpu_rows.ts";
import { heat } from "../measuring/heat.ts";
import { median } from "../measuring/measure.ts";
import type { Spans } from "../measuring/spans.ts";
import { type Device, OutOfMemoryError } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";

/** A measured row. Times are of one run in a row of runs, gaps between dispatches included. */
export interface GpuRow extends Pick<Row, "group" | "name" | "type"> {
  /** Kernels that ran. */
  readonly kernels: readonly string[];
  readonly microseconds: number;
  readonly rate: number;
  readonly unit: "TFLOP/s" | "GB/s";
  /** The time that the adapter's ceilings allow, of bytes or of operations, over that measured. */
  readonly percent: number;
}

/** Groups of rows. */
export const GROUPS = ["products", "attention", "convolutions", "norms"] as const;

/** Milliseconds of a row at the ceiling from which it is left out: software adapters would take minutes. */
const PATIENCE = 100;
/** Milliseconds of one sample. */
const SAMPLE = 6;
const SAMPLES = 7;

/** Names of the kernels that `run` dispatches. */
function kernelsOf(device: Device, run: () => void): string[] {
  const names = new Set<string>();
  const method = device.run;
  Object.defineProperty(device, "run", {
    configurable: true,
    value(...args: Parameters<Device["run"]>) {
      names.add(args[0].name);
      return method.apply(device, args);
    },
  });
  run();
  delete (device as { run?: unknown }).run;
  return [...names];
}

/** Median microseconds of one run. */
async function time(device: Device, spans: Spans, run: (i: number) => void): Promise<number> {
  const sample = async (count: number, runs: number) => {
    for (let s = 0; s < count; s++) {
      spans.begin(`${s}`);
      for (let i = 0; i < runs; i++) run(i);
      device.flush();
    }
    const { sections } = await spans.report();
    device.check();
    return sections.map(({ milliseconds }) => 1000 * milliseconds / runs);
  };
  await heat(device);
  const [once] = await sample(1, 1);
  const runs = Math.max(1, Math.min(200, Math.ceil(1000 * SAMPLE / once!)));
  const count = once! > 3e5 ? 1 : once! > 3e4 ? 3 : SAMPLES;
  return median(await sample(count, runs));
}

/** Milliseconds that the adapter's ceilings allow. */
function limit(
  { flops, bytes }: Pick<Work, "flops" | "bytes">,
  type: WeightType,
  top: Ceilings,
): number {
  const arithmetic = type !== "f32" && top["matrix GFLOP/s"] || top["GFLOP/s"];
  return Math.max(flops / arithmetic, bytes / top["GB/s"]) / 1e6;
}

/** Measures the rows of some groups on a device that is not profiled. */
export async function* benchGpuRows(
  device: Device,
  spans: Spans,
  top: Ceilings,
  groups: readonly string[],
): AsyncGenerator<GpuRow> {
  for (const { group, name, type, flops, setup } of ROWS) {
    if (!groups.includes(group) || limit({ flops, bytes: 0 }, type, top) > PATIENCE) continue;
    if (type !== "f32" && !device.capabilities.f16) continue;
    using operands = new Operands(device);
    let work: Work;
    try {
      work = setup(device, operands);
    } catch (error) {
      if (error instanceof OutOfMemoryError) continue; // a tensor exceeds a binding of this adapter
      throw error;
    }
    const kernels = kernelsOf(device, () => work.run(0));
    await device.finish();
    const microseconds = await time(device, spans, work.run);
    const percent = 1e5 * limit(work, type, top) / microseconds;
    const rate = work.flops ? work.flops / microseconds / 1e6 : work.bytes / microseconds / 1e3;
    const unit = work.flops ? "TFLOP/s" : "GB/s";
    yield { group, name, type, kernels, microseconds, rate, unit, percent };
  }
}
