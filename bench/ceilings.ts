import { gpuTimes, median, wallTime } from "./measure.ts";
import { defineKernel, type Device, grid, type Profiler } from "../engine/mod.ts";
import { matrixShape } from "../kernels/shared/matrix.ts";
import copySource from "./copy.wgsl" with { type: "text" };
import fmaSource from "./fma.wgsl" with { type: "text" };
import matrixSource from "./fma_matrix.wgsl" with { type: "text" };

const copyKernel = defineKernel("copy", copySource, ["x", "y"], ["count"]);
const fmaKernel = defineKernel("fma", fmaSource, ["y"], ["rounds", "decay", "step"]);
const matrixKernel = defineKernel("fma_matrix", matrixSource, ["x", "y"], ["rounds"]);
const nothingKernel = defineKernel(
  "nothing",
  `struct Params { zero: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] = params.zero; }`,
  ["y"],
  ["zero"],
);

/** Operations of fma.wgsl per invocation and round; an FMA counts as two. */
const ROUND_FLOPS = 384 * 2;
/** Matrix products of fma_matrix.wgsl per subgroup and round. */
const ROUND_MATRICES = 16;
/** Too large for any cache. */
const COPY_BYTES = 256 * 1024 * 1024;

/** The best that the adapter can do. */
export interface Ceilings {
  /** Bytes that a copy reads and writes. */
  readonly "GB/s": number;
  /** f32 operations in registers. */
  readonly "GFLOP/s": number;
  /** f16 operations in registers; 0 without shader-f16. */
  readonly "f16 GFLOP/s": number;
  /** Operations of subgroup matrices of f16 with f32 sums, in registers; 0 without them. */
  readonly "matrix GFLOP/s": number;
}

/** Measures ceilings. Takes the best sample, not the median: a ceiling is what the adapter reaches undisturbed. */
export async function ceilings(device: Device, profiler: Profiler): Promise<Ceilings> {
  const { class: adapter, limits, f16, subgroupSize } = device.capabilities;
  const bytes = Math.min(COPY_BYTES, limits.maxStorageBufferBindingSize!);
  using x = device.tensor("f32", [bytes / 4], "copy source");
  using y = device.tensor("f32", [bytes / 4], "copy target");
  const count = bytes / 16;
  const best = async (run: () => void) =>
    Math.min(...(await gpuTimes(device, profiler, run)).map(({ wall }) => wall));
  const copy = await best(() =>
    device.run(copyKernel, {
      bind: { x, y },
      params: { count },
      workgroups: grid(Math.ceil(count / 64)),
    })
  );
  const [groups, rounds] = adapter === "cpu" ? [512, 256] : [16384, 1024];
  const fma = async (T: "f32" | "f16") => {
    const milliseconds = await best(() =>
      device.run(fmaKernel, {
        specialise: { T },
        bind: { y },
        params: { rounds, decay: 0.5, step: 1 },
        workgroups: [groups],
      })
    );
    return groups * 64 * rounds * ROUND_FLOPS / milliseconds / 1e6;
  };
  const matrix = async () => {
    const shape = matrixShape(device);
    if (!shape) return 0;
    const { M, N, K } = shape;
    const [groups, rounds] = adapter === "cpu" ? [512, 64] : [16384, 1024];
    const count = 2 * K * Math.max(M, N);
    // small numbers of either sign: zeros would use less power than real work
    const values = Float16Array.from({ length: count }, (_, i) => (i % 7 - 3) / 8);
    using operands = device.from("f16", [count], values, "matrices");
    const milliseconds = await best(() =>
      device.run(matrixKernel, {
        specialise: {
          Left: `subgroup_matrix_left<f16, ${K}, ${M}>`,
          Right: `subgroup_matrix_right<f16, ${N}, ${K}>`,
          Result: `subgroup_matrix_result<f32, ${N}, ${M}>`,
          LANES: subgroupSize,
          M,
          N,
          K,
        },
        bind: { x: operands, y },
        params: { rounds },
        workgroups: [groups],
      })
    );
    return groups * rounds * ROUND_MATRICES * 2 * M * N * K / milliseconds / 1e6;
  };
  return {
    "GB/s": 2 * bytes / copy / 1e6,
    "GFLOP/s": await fma("f32"),
    "f16 GFLOP/s": f16 ? await fma("f16") : 0,
    "matrix GFLOP/s": await matrix(),
  };
}

/** The better of two measurements: another program may have slowed one of them. */
export function better(a: Ceilings, b: Ceilings): Ceilings {
  return {
    "GB/s": Math.max(a["GB/s"], b["GB/s"]),
    "GFLOP/s": Math.max(a["GFLOP/s"], b["GFLOP/s"]),
    "f16 GFLOP/s": Math.max(a["f16 GFLOP/s"], b["f16 GFLOP/s"]),
    "matrix GFLOP/s": Math.max(a["matrix GFLOP/s"], b["matrix GFLOP/s"]),
  };
}

/** Costs of doing nothing, in microseconds. */
export interface Overheads {
  /** One of many dispatches in one submit: encoding, sending and running it. */
  readonly dispatch: number;
  /** The part of it that the JavaScript thread spends on recording and encoding. */
  readonly encode: number;
  /** One of many submits of one dispatch each. */
  readonly submit: number;
  /** Reading back 16 bytes while the GPU is idle. */
  readonly readBack: number;
}

/** Measures overheads. The device must not be profiled. */
export async function overheads(device: Device): Promise<Overheads> {
  using y = device.tensor("u32", [4]);
  const nothing = () =>
    device.run(nothingKernel, { bind: { y }, params: { zero: 0 }, workgroups: [1] });
  const MANY = 1000;
  const time = async (run: () => void) => {
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) {
      await device.finish();
      samples.push(await wallTime(() => (run(), device.finish())));
    }
    return median(samples);
  };
  nothing();
  const idle = await time(() => {});
  let encode = Infinity;
  const dispatches = await time(() => {
    const began = performance.now();
    for (let i = 0; i < MANY; i++) nothing();
    device.flush();
    encode = Math.min(encode, performance.now() - began);
  });
  const submits = await time(() => {
    for (let i = 0; i < MANY / 10; i++) nothing(), device.flush();
  });
  const reads: number[] = [];
  for (let i = 0; i < 9; i++) reads.push(await wallTime(() => device.read(y)));
  return {
    dispatch: 1000 * Math.max(0, dispatches - idle) / MANY,
    encode: 1000 * encode / MANY,
    submit: 1000 * Math.max(0, submits - idle) / (MANY / 10),
    readBack: 1000 * median(reads),
  };
}
