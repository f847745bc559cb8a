import { fmaKernel } from "./heat.ts";
import { gpuTimes } from "./measure.ts";
import { defineKernel, type Device, grid, type Kernel, type Profiler } from "../../engine/mod.ts";
import { matrixShape } from "../../kernels/shared/matrix.ts";
import copySource from "./copy.wgsl" with { type: "text" };
import tileSource from "./fma_tile.wgsl" with { type: "text" };
import matrixSource from "./fma_matrix.wgsl" with { type: "text" };

/** Copies x to y, see copy.wgsl. */
export const copyKernel: Kernel = defineKernel("copy", copySource, ["x", "y"], ["count"]);
const tileKernel = defineKernel("fma_tile", tileSource, ["y"], ["rounds", "decay", "step"]);
const matrixKernel = defineKernel("fma_matrix", matrixSource, ["x", "y"], ["rounds"]);

/** Operations of fma.wgsl and fma_tile.wgsl per invocation and round; an FMA counts as two. */
const ROUND_FLOPS = 384 * 2;
/** Matrix products of fma_matrix.wgsl per subgroup and round. */
const ROUND_MATRICES = 16;
/** Too large for any cache. */
const COPY_BYTES = { cpu: 256 * 1024 * 1024, gpu: 512 * 1024 * 1024 };
/** Vec4s of f16 that pad the rows of an operand in workgroup memory, as products do. */
const PAD = 2;

type Unit = "GB/s" | "GFLOP/s";

/** One way to reach for a ceiling, and how far it came. */
export interface Form {
  readonly name: string;
  readonly rate: number;
  readonly unit: Unit;
}

/** The best that the adapter can do. */
export interface Ceilings {
  /** Bytes that the fastest copy reads and writes. */
  readonly "GB/s": number;
  /** f32 operations in registers: on a GPU those of a product's inner loop, 8 × 8 sums of an invocation. */
  readonly "GFLOP/s": number;
  /** The same in f16; 0 without shader-f16. */
  readonly "f16 GFLOP/s": number;
  /** Operations of subgroup matrices of f16 with f32 sums, in registers; 0 without them. */
  readonly "matrix GFLOP/s": number;
  /** All that was measured to find them. */
  readonly forms: readonly Form[];
}

/** Milliseconds that a run must take to be timed well. */
const LONG = 20;
/** Most rounds of a run. */
const MAX_ROUNDS = 1 << 20;

/** Measures milliseconds of the best sample. */
type Best = (run: () => void) => Promise<number>;
/** Measures runs of so many rounds, twice as many until they take long enough: rounds per millisecond. */
type Rate = (run: (rounds: number) => void) => Promise<number>;

/** Measures ceilings. Takes the best sample, not the median: a ceiling is what the adapter reaches undisturbed. */
export async function ceilings(device: Device, profiler: Profiler): Promise<Ceilings> {
  const { f16, class: adapter } = device.capabilities;
  // as rows are rated: other programs disturb the wall time of a CPU
  const best: Best = async (run) =>
    Math.min(
      ...(await gpuTimes(device, profiler, run)).map((t) => adapter === "cpu" ? t.cpu : t.wall),
    );
  const rate: Rate = async (run) => {
    for (let rounds = 16;; rounds *= 2) {
      run(rounds);
      device.flush();
      const [time] = await profiler.report();
      if (time!.milliseconds > LONG || rounds >= MAX_ROUNDS) {
        return rounds / await best(() => run(rounds));
      }
    }
  };
  const copies = await copyForms(device, best);
  const f32 = await fmaForms(device, rate, "f32");
  const half = f16 ? await fmaForms(device, rate, "f16") : [];
  const matrices = await matrixForms(device, rate);
  const most = (forms: readonly Form[]) => Math.max(0, ...forms.map(({ rate }) => rate));
  const tile = (forms: readonly Form[]) =>
    most(adapter === "cpu" ? forms : forms.filter(({ name }) => name.includes("8x8")));
  return {
    "GB/s": most(copies),
    "GFLOP/s": tile(f32),
    "f16 GFLOP/s": tile(half),
    "matrix GFLOP/s": most(matrices),
    forms: [...copies, ...f32, ...half, ...matrices],
  };
}

async function copyForms(device: Device, best: Best): Promise<Form[]> {
  const { class: adapter, limits, f16 } = device.capabilities;
  const bytes = Math.min(COPY_BYTES[adapter], limits.maxStorageBufferBindingSize!) & ~0xffff;
  using x = device.tensor("f32", [bytes / 4], "copy source");
  using y = device.tensor("f32", [bytes / 4], "copy target");
  const forms: Form[] = [];
  const measure = async (T: "f32" | "f16", WG: number, COUNT: number) => {
    const count = bytes / (T === "f32" ? 16 : 8);
    const milliseconds = await best(() =>
      device.run(copyKernel, {
        specialise: { T: `vec4<${T}>`, WG, COUNT },
        bind: { x, y },
        params: { count },
        workgroups: grid(count / WG / COUNT),
      })
    );
    const name = `copy ${T}, workgroups of ${WG}, ${COUNT} each`;
    forms.push({ name, rate: 2 * bytes / milliseconds / 1e6, unit: "GB/s" });
  };
  await measure("f32", 64, 1);
  await measure("f32", 256, 1);
  if (adapter === "gpu" && f16) await measure("f16", 256, 4);
  return forms;
}

/** On a CPU only the first form: the others spill registers, or an `fma` that is not fused is multiplied only once. */
async function fmaForms(device: Device, rate: Rate, T: "f32" | "f16"): Promise<Form[]> {
  const { class: adapter } = device.capabilities;
  const threads = (adapter === "cpu" ? 512 : 16384) * 64;
  using y = device.tensor("f32", [threads * 4], "sums");
  const forms: Form[] = [];
  const measure = async (name: string, run: (rounds: number) => void) =>
    forms.push({
      name: `FMA ${T}, ${name}`,
      rate: threads * ROUND_FLOPS * await rate(run) / 1e6,
      unit: "GFLOP/s",
    });
  const chains = (OWN: boolean) => (rounds: number) =>
    device.run(fmaKernel, {
      specialise: { T, OWN },
      bind: { y },
      params: { rounds, decay: 0.5, step: 1 },
      workgroups: [threads / 64],
    });
  await measure("uniform operands", chains(false));
  if (adapter === "cpu") return forms;
  await measure("three registers", chains(true));
  await measure("8x8 sums", (rounds) =>
    device.run(tileKernel, {
      specialise: { T },
      bind: { y },
      params: { rounds, decay: 0.5, step: 1 },
      workgroups: [threads / 128],
    }));
  return forms;
}

async function matrixForms(device: Device, rate: Rate): Promise<Form[]> {
  const shape = matrixShape(device);
  if (!shape) return [];
  const { M, N, K } = shape;
  const { class: adapter, subgroupSize: LANES } = device.capabilities;
  const subgroups = adapter === "cpu" ? 512 : 16384;
  const [LEFT_PITCH, RIGHT_PITCH, SETS, SUBGROUPS] = [K / 4 + PAD, N / 4 + PAD, 2, 4];
  const [LEFT, RIGHT] = [M * LEFT_PITCH, K * RIGHT_PITCH];
  const count = SETS * 2 * (LEFT + RIGHT) * 4;
  // small numbers of either sign: zeros would use less power than real work
  const values = Float16Array.from({ length: count }, (_, i) => (i % 7 - 3) / 8);
  using x = device.from("f16", [count], values, "matrices");
  using y = device.tensor("f32", [subgroups * 4 * M * N], "sums");
  const forms: Form[] = [];
  for (const LOADED of [false, true]) {
    const rounds = await rate((rounds) =>
      device.run(matrixKernel, {
        specialise: {
          Left: `subgroup_matrix_left<f16, ${K}, ${M}>`,
          Right: `subgroup_matrix_right<f16, ${N}, ${K}>`,
          Result: `subgroup_matrix_result<f32, ${N}, ${M}>`,
          LANES,
          SUBGROUPS,
          M,
          N,
          K,
          LOADED,
          SETS,
          LEFT,
          RIGHT,
          LEFT_PITCH,
          RIGHT_PITCH,
        },
        bind: { x, y },
        params: { rounds },
        workgroups: [subgroups / SUBGROUPS],
      })
    );
    forms.push({
      name: `matrices ${M}x${N}x${K}, ${LOADED ? "from workgroup memory" : "in registers"}`,
      rate: subgroups * rounds * ROUND_MATRICES * 2 * M * N * K / 1e6,
      unit: "GFLOP/s",
    });
  }
  return forms;
}

/** The better of two measurements: another program may have slowed one of them. */
export function better(a: Ceilings, b: Ceilings): Ceilings {
  return {
    "GB/s": Math.max(a["GB/s"], b["GB/s"]),
    "GFLOP/s": Math.max(a["GFLOP/s"], b["GFLOP/s"]),
    "f16 GFLOP/s": Math.max(a["f16 GFLOP/s"], b["f16 GFLOP/s"]),
    "matrix GFLOP/s": Math.max(a["matrix GFLOP/s"], b["matrix GFLOP/s"]),
    forms: a.forms.map((form, i) => ({ ...form, rate: Math.max(form.rate, b.forms[i]!.rate) })),
  };
}
