/** Times training: networks forwards and backwards, the gradients of products, and the optimiser's step. */

import { type Ceilings, copyKernel } from "../measuring/ceilings.ts";
import { heat } from "../measuring/heat.ts";
import { Tensors } from "../kernels/row.ts";
import { median, timed, type Times } from "../measuring/measure.ts";
import { type Network, networks, type Workload } from "./training_networks.ts";
import { type Device, grid, type Tensor } from "../../engine/mod.ts";
import { conv2d } from "../../kernels/conv/conv2d.ts";
import { conv2dBackward } from "../../kernels/conv/conv2d_backward.ts";
import { stageConv } from "../../kernels/conv/conv2d_weight.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { matmulBackward } from "../../kernels/linear/matmul_backward.ts";
import { packOperand } from "../../kernels/linear/operand.ts";
import type { FloatType } from "../../kernels/linear/weight_types.ts";
import { Optimiser } from "../../model/training/optimiser/optimiser.ts";
import { Parameters } from "../../model/training/tape/parameters.ts";
import { Tape } from "../../model/training/tape/tape.ts";

/** Milliseconds of a sample at least: a read-back takes 11 of them in Deno. */
const SAMPLE = 150;
/** Most passes of a sample. */
const MAX_RUNS = 256;
/** Samples of each side, which take turns. */
const SAMPLES = 7;
/** Parameters that the optimiser updates. */
const PARAMETERS = 8 << 20;
/** Channels of the heads of {@link networks}: of emoji-nano and of the 125M. */
export const HEAD_WIDTHS = [64, 96, 128] as const;
/** Bytes that the step moves per parameter: gradients twice, and what it reads and writes, value, two moments, zeros. */
const STEP_BYTES = 4 * (2 + 1 + 2 * 3);

/** A network's passes: medians. */
export interface NetworkRow {
  readonly name: string;
  readonly shape: string;
  readonly dtype: FloatType;
  readonly parameters: number;
  readonly forward: Times;
  /** Forward and backward. */
  readonly both: Times;
  /** `both` over `forward`. */
  readonly ratio: number;
  /** Tokens or images per second of `both`. */
  readonly rate: number;
  readonly unit: Network["unit"];
  /** Operations of products, convolutions and attention in `both`. */
  readonly flops: number;
  readonly gflops: number;
  /** Share of what the adapter reaches by FMA; null without timestamps. */
  readonly percent: number | null;
  readonly dispatches: number;
}

/** A product forwards, with packing, and all its gradients. */
export interface GradientRow {
  readonly name: string;
  readonly shape: string;
  readonly forward: Times;
  readonly backward: Times;
  /** Operations per second of the backward pass, which has twice as many, over those of the forward pass. */
  readonly ratio: number;
}

/** The optimiser's step. */
export interface StepRow {
  readonly shape: string;
  readonly step: Times;
  readonly rate: number;
  readonly copy: number;
  /** `rate` over `copy`, in percent. */
  readonly percent: number;
}

/** All that {@link benchTraining} finds. Times are compared by CPU time on a CPU, by wall time on a GPU. */
export interface TrainingReport {
  readonly networks: readonly NetworkRow[];
  readonly gradients: readonly GradientRow[];
  readonly optimiser: StepRow;
}

/** Times two kinds of work in turns: medians per run, and the median of the ratios of neighbouring samples. */
async function alternate(device: Device, first: () => void, second: () => void) {
  const by = device.capabilities.class === "cpu" ? "cpu" : "wall";
  const sample = async (run: () => void, runs: number): Promise<Times> => {
    const { wall, cpu } = await timed(async () => {
      for (let i = 0; i < runs; i++) run();
      await device.finish();
    });
    return { wall: wall / runs, cpu: cpu / runs };
  };
  const sides = [];
  for (const run of [first, second]) {
    await sample(run, 1); // compiles
    await heat(device);
    await sample(run, 1); // memory from the pool
    let runs = 1;
    while (runs < MAX_RUNS && (await sample(run, runs)).wall * runs < SAMPLE) runs *= 2;
    sides.push({ run, runs, samples: [] as Times[] });
  }
  for (let i = 0; i < SAMPLES; i++) {
    for (const { run, runs, samples } of sides) samples.push(await sample(run, runs));
  }
  device.check();
  const [a, b] = sides.map(({ samples }) => samples) as [Times[], Times[]];
  const middle = (samples: readonly Times[]): Times => ({
    wall: median(samples.map(({ wall }) => wall)),
    cpu: median(samples.map(({ cpu }) => cpu)),
  });
  const ratio = median(a.map((one, i) => b[i]![by] / one[by]));
  return { first: middle(a), second: middle(b), ratio, by } as const;
}

async function benchNetwork(
  device: Device,
  network: Network,
  dtype: FloatType,
  ceilings: Ceilings | undefined,
): Promise<NetworkRow> {
  const { name, shape, count, unit } = network;
  using t = new Tensors(device);
  const { parameters, forward }: Workload = network.open(device, t, dtype);
  const pass = (end: "dispose" | "unwind") => () => {
    const tape = new Tape(device, { dtype });
    forward(tape);
    tape[end]();
  };
  const { first, second, ratio, by } = await alternate(device, pass("dispose"), pass("unwind"));
  const before = device.counters;
  pass("unwind")();
  await device.finish();
  const after = device.counters;
  const flops = after.flops - before.flops;
  const gflops = flops / second[by] / 1e6;
  const ceiling = ceilings && ceilingOf(ceilings, dtype);
  return {
    ...{ name, shape, dtype, parameters: parameters.count, forward: first, both: second, ratio },
    ...{ rate: 1000 * count / second[by], unit, flops, gflops },
    percent: ceiling ? 100 * gflops / ceiling : null,
    dispatches: after.dispatches - before.dispatches,
  };
}

/** What products of a type may reach. */
function ceilingOf(ceilings: Ceilings, dtype: FloatType): number {
  return dtype === "f16" && ceilings["matrix GFLOP/s"] || ceilings["GFLOP/s"];
}

/** Rows, and columns of both factors. */
const PRODUCTS = [
  [1024, 1024, 1024],
  [1920, 256, 1024],
  [480, 256, 1024],
  [480, 1024, 256],
  [521, 768, 3072],
] as const;

/** Images, their size, and channels. */
const CONVOLUTIONS = [[16, 32, 32, 32], [16, 16, 64, 64], [16, 4, 128, 128], [
  1,
  64,
  64,
  64,
]] as const;

/** Two kinds of work, and what they are. */
interface Pair {
  readonly name: string;
  readonly shape: string;
  readonly forward: () => void;
  readonly backward: () => void;
}

function product(device: Device, t: Tensors, [M, K, N]: (typeof PRODUCTS)[number]): Pair {
  const [x, weight, bias, y] = [t.f32(M, K), t.f32(N, K), t.f32(N), t.f32(M, N)] as const;
  const gradient = (value: Tensor, add: boolean) => ({ tensor: t.f32(...value.shape), add });
  const [dx, dweight, dbias] = [gradient(x, false), gradient(weight, true), gradient(bias, true)];
  return {
    name: "matmul",
    shape: `${M}x${K}x${N}`,
    forward() {
      using linear = packOperand(device, [weight], { transposed: true, bias });
      matmul(device, { x, linear, y });
    },
    backward() {
      const wanted = { dx, dweights: [dweight], dbiases: [dbias] };
      matmulBackward(device, { x, weights: [weight], dy: y, ...wanted });
    },
  };
}

function convolution(device: Device, t: Tensors, shape: (typeof CONVOLUTIONS)[number]): Pair {
  const [B, size, C, N] = shape;
  const [x, y] = [t.f32(B, size, size, C), t.f32(B, size, size, N)];
  const [weight, bias] = [t.f32(N, C, 3, 3), t.f32(N)];
  const gradient = (value: Tensor, add: boolean) => ({ tensor: t.f32(...value.shape), add });
  const [dx, dweight, dbias] = [gradient(x, false), gradient(weight, true), gradient(bias, true)];
  return {
    name: "conv2d",
    shape: `3x3 ${C} to ${N}, ${B}x ${size}x${size}`,
    forward() {
      using conv = stageConv(device, weight, { bias });
      conv2d(device, { x, conv, y });
    },
    backward: () => conv2dBackward(device, { x, weight, dy: y, dx, dweight, dbias }),
  };
}

async function benchGradients(device: Device): Promise<GradientRow[]> {
  const rows: GradientRow[] = [];
  const measure = async (make: (t: Tensors) => Pair) => {
    using t = new Tensors(device);
    const { name, shape, forward, backward } = make(t);
    const { first, second, ratio } = await alternate(device, forward, backward);
    rows.push({ name, shape, forward: first, backward: second, ratio: 2 / ratio });
  };
  for (const shape of PRODUCTS) await measure((t) => product(device, t, shape));
  for (const shape of CONVOLUTIONS) await measure((t) => convolution(device, t, shape));
  return rows;
}

async function benchOptimiser(device: Device): Promise<StepRow> {
  using t = new Tensors(device);
  const specs = [{ name: "w", shape: [PARAMETERS], decay: true }];
  const parameters = t.use(new Parameters(device, specs));
  const optimiser = t.use(new Optimiser(device, parameters));
  const [journal, x, y] = [t.f32(64), t.f32(4 * PARAMETERS), t.f32(4 * PARAMETERS)];
  device.upload(parameters.get("w").value, new Float32Array(PARAMETERS).fill(0.5));
  const places = { journal, loss: 0, entry: 1 };
  const { first, second, ratio, by } = await alternate(
    device,
    () =>
      device.run(copyKernel, {
        specialise: { T: "vec4<f32>", WG: 256, COUNT: 1 },
        bind: { x, y },
        params: { count: x.elements / 4 },
        workgroups: grid(x.elements / 4 / 256),
      }),
    () => optimiser.step({ step: 0, rate: 1e-9, unscale: 1, stop: false, ...places }),
  );
  const bytes = STEP_BYTES * PARAMETERS;
  return {
    shape: `${PARAMETERS >> 20}M parameters`,
    step: second,
    rate: bytes / second[by] / 1e6,
    copy: 2 * x.byteLength / first[by] / 1e6,
    percent: 100 * bytes / (2 * x.byteLength) / ratio,
  };
}

/**
 * Measures training on a device that is not profiled, so that dispatches follow each other as they do in a training.
 *
 * @param ceilings What this adapter reaches, if it is known.
 */
export async function benchTraining(
  device: Device,
  ceilings: Ceilings | undefined,
): Promise<TrainingReport> {
  const { class: adapter, f16 } = device.capabilities;
  const rows: NetworkRow[] = [];
  for (const network of await networks(adapter)) {
    rows.push(await benchNetwork(device, network, "f32", ceilings));
    if (adapter === "gpu" && f16) rows.push(await benchNetwork(device, network, "f16", ceilings));
  }
  const gradients = await benchGradients(device);
  return { networks: rows, gradients, optimiser: await benchOptimiser(device) };
}
