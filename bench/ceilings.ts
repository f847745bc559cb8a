import { defineKernel, type Device, grid, type Profiler } from "../engine/mod.ts";
import copySource from "./copy.wgsl" with { type: "text" };
import fmaSource from "./fma.wgsl" with { type: "text" };
import { gpuTimes } from "./measure.ts";

const copyKernel = defineKernel("copy", copySource, ["x", "y"], ["count"]);
const fmaKernel = defineKernel("fma", fmaSource, ["y"], ["rounds", "decay", "step"]);

/** What fma.wgsl does per invocation and round, counting an FMA as two. */
const ROUND_FLOPS = 384 * 2;
/** Large enough to leave every cache. */
const COPY_BYTES = 256 * 1024 * 1024;

/** What the adapter can do at best: bytes a copy reads and writes, f32 operations in registers. */
export type Ceilings = Readonly<Record<"GB/s" | "GFLOP/s", number>>;

/** Best samples, not medians: a ceiling is what the adapter reaches undisturbed. */
export async function ceilings(device: Device, profiler: Profiler): Promise<Ceilings> {
  const { class: adapter, limits } = device.capabilities;
  const bytes = Math.min(COPY_BYTES, limits.maxStorageBufferBindingSize!);
  using x = device.tensor("f32", [bytes / 4], "copy source");
  using y = device.tensor("f32", [bytes / 4], "copy target");
  const count = bytes / 16;
  const copy = await gpuTimes(device, profiler, () =>
    device.run(copyKernel, {
      bind: { x, y },
      params: { count },
      workgroups: grid(Math.ceil(count / 64)),
    }));
  const [groups, rounds] = adapter === "cpu" ? [512, 256] : [16384, 1024];
  const fma = await gpuTimes(device, profiler, () =>
    device.run(fmaKernel, {
      bind: { y },
      params: { rounds, decay: 0.5, step: 1 },
      workgroups: [groups],
    }));
  return {
    "GB/s": 2 * bytes / Math.min(...copy) / 1e6,
    "GFLOP/s": groups * 64 * rounds * ROUND_FLOPS / Math.min(...fma) / 1e6,
  };
}
