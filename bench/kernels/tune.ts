import { backwardProbes, onePassProbes } from "./attention_probes.ts";
import { Tensors } from "./row.ts";
import { gpuTimes, median } from "../measuring/measure.ts";
import type { Device, Profiler, Tensor, Tuning } from "../../engine/mod.ts";
import { attention, type AttentionArgs } from "../../kernels/attention/attention.ts";
import { worstError } from "../../kernels/attention/attention_proof.ts";
import { conv2d, type Conv2dArgs } from "../../kernels/conv/conv2d.ts";
import { packConv } from "../../kernels/conv/conv2d_weight.ts";
import { packLinear } from "../../kernels/linear/linear.ts";
import { usesTexture } from "../../kernels/shared/textures.ts";
import { matmul, type MatmulArgs } from "../../kernels/linear/matmul.ts";
import type { FloatType, WeightType } from "../../kernels/linear/weight_types.ts";
import { matrixShape, TILES } from "../../kernels/shared/matrix.ts";
import { tileCount } from "../../kernels/shared/tiles.ts";
import { CHOICES } from "../../kernels/shared/variants.ts";

/** Work of one size on which all variants of a choice are timed. */
export interface Probe {
  readonly size: number;
  readonly label: string;
  readonly setup: (device: Device, t: Noise) => Trial;
}

/** What a probe runs, and how it is proved: a variant whose results are wrong may not be chosen, however fast it is. */
export interface Trial {
  /** Runs the variant that {@link Device.tuning} chooses. */
  readonly run: () => void;
  /** What it makes. */
  readonly y: Tensor;
  /** Makes the same by the plain f32 kernel. */
  readonly plain: () => void;
  /** Largest error of an element that rounding explains, over the root mean square of all. */
  readonly tolerance: number;
}

/** Tolerances of {@link Trial}: sums of f32 in another order, and operands rounded to f16. */
const [ROUNDED_SUMS, ROUNDED_OPERANDS] = [1e-4, 5e-3];

/** A measured probe: milliseconds by variant, and the errors of variants that were wrong. */
export interface TuneRow {
  readonly choice: string;
  readonly label: string;
  readonly times: Readonly<Record<string, number>>;
  readonly wrong: Readonly<Record<string, number>>;
  /** Null if all were wrong. */
  readonly best: string | null;
}

/** Makes tensors of noise: whatever a kernel leaves out or uses twice changes a sum by more than rounding does. */
export class Noise extends Tensors {
  #state = 1;

  override f32(...shape: number[]): Tensor {
    const tensor = super.f32(...shape);
    const values = new Float32Array(tensor.elements).map(() => {
      this.#state = Math.imul(this.#state, 1664525) + 1013904223 | 0;
      return this.#state / 2 ** 31;
    });
    this.device.upload(tensor, values);
    return tensor;
  }
}

/** To replace the variant of smaller sizes, another must take at most this share of its time. */
const GAIN = 0.97;

/** A product as the model asks for it, with guidance: M rows are two sequences. */
function productProbe(
  [M, K, N]: readonly [M: number, K: number, N: number],
  size: number,
  type: WeightType,
  how: Partial<MatmulArgs> = {},
): Probe {
  return {
    size,
    label: `${M}x${K}x${N} ${type}`,
    setup(device, t) {
      const [x, y, w] = [t.f32(M, K), t.use(device.tensor("f32", [M, N])), t.f32(N, K)];
      const [linear, plain] = [undefined, false].map((texture) =>
        packLinear(device, [w], null, type, "weight", texture)
      );
      for (const packed of [linear!, plain!]) t.defer(() => packed.weight.dispose());
      const args = { x, y, rows: Math.ceil(M / 2) };
      return {
        run: () => matmul(device, { ...args, linear: linear!, ...how }),
        y,
        plain: () => matmul(device, { ...args, linear: plain!, variant: "vector" }),
        tolerance: type === "f32" ? ROUNDED_SUMS : ROUNDED_OPERANDS,
      };
    },
  };
}

const matmulProbes = [4, 8, 16, 32, 64, 128, 256, 1024].map((M) =>
  productProbe([M, 512, 1024], M, "f32")
);

/** Scales of the 2B model at 1024². */
const matrixProbes = ([K, N]: readonly [number, number]) =>
  [8, 32, 72, 128, 288, 512, 800, 1152, 2048].map((M) => productProbe([M, K, N], M, "f16"));

/** A 3x3 convolution of C channels to as many. */
function convProbe(
  side: number,
  C: number,
  size: number,
  type: FloatType = "f32",
  how: Partial<Conv2dArgs> = {},
): Probe {
  return {
    size,
    label: `${side}x${side}, 3x3 ${C} to ${C} ${type}`,
    setup(device, t) {
      const [x, y, w] = [t.f32(1, side, side, C), t.f32(1, side, side, C), t.f32(C, C, 3, 3)];
      const bias = t.f32(C);
      const [conv, plain] = [undefined, false].map((texture) =>
        packConv(device, w, bias, type, "weight", texture)
      );
      for (const packed of [conv!, plain!]) t.defer(() => packed.weight.dispose());
      return {
        run: () => conv2d(device, { x, conv: conv!, y, ...how }),
        y,
        plain: () => conv2d(device, { x, conv: plain!, y, variant: "vector" }),
        tolerance: type === "f32" ? ROUNDED_SUMS : ROUNDED_OPERANDS,
      };
    },
  };
}

const convProbes = ([[4, 128], [8, 64], [16, 64], [32, 64], [64, 64], [64, 128]] as const).map(
  ([side, C]) => convProbe(side, C, side * side),
);

/** Layers of the VAE on tensor cores, by how many large tiles they are. */
const matrixConvProbes = [32, 64, 96, 128, 256].map((side) => {
  const { m, n } = TILES.large;
  return convProbe(side, 512, Math.ceil(side * side / m) * Math.ceil(512 / n), "f16");
});

/** Layers of the VAE without tensor cores: 16 to 1024 tiles. */
const tilesConvProbes = [16, 32, 48, 64, 96, 128].map((side) =>
  convProbe(side, 512, tileCount(side * side, 512), "f32", { variant: "tiles" })
);

/** Weights that tensor cores do not take. */
function plainType(device: Device): WeightType {
  return device.capabilities.f16 && !matrixShape(device) ? "f16" : "f32";
}

/** Linear layers of the 2B model with these numbers of rows and columns, by how many tiles they are. */
function partsProbes(device: Device, K: number, shapes: readonly (readonly [number, number])[]) {
  return shapes.map(([M, N]) =>
    productProbe([M, K, N], tileCount(M, N), plainType(device), { variant: "tiles" })
  );
}

/** Tiles of 64 x 128: 32 to 2048. */
const SHALLOW = [
  [72, 2048],
  [288, 2048],
  [512, 2048],
  [800, 2048],
  [1152, 2048],
  [2048, 2048],
  [1152, 6144],
  [4096, 4096],
] as const;
const DEEP = [[72, 2048], [288, 2048], [512, 2048], [1152, 2048], [3200, 2048]] as const;

/** Attention is proved by the kernel that runs on any adapter. */
function attentionTrial(device: Device, args: AttentionArgs): Trial {
  return {
    run: () => attention(device, args),
    y: args.y,
    plain: () => attention(device, { ...args, variant: "workgroup" }),
    tolerance: args.k.dtype === "f32" ? ROUNDED_SUMS : ROUNDED_OPERANDS,
  };
}

function attentionProbe(size: (lanes: number, ratio: number) => number, queries: number) {
  const [heads, keys, headDim] = [8, 512, 64];
  return (device: Device): Probe => ({
    // operations per byte: 4 per query, key and channel, over 8 bytes per key and channel
    size: size(device.capabilities.subgroupSize, queries / 2),
    label: `${heads} heads, ${queries} q, ${keys} k`,
    setup(device, t) {
      const [q, y] = [t.f32(queries, heads * headDim), t.f32(queries, heads * headDim)];
      const [k, v] = [t.f32(keys, heads * headDim), t.f32(keys, heads * headDim)];
      const spans = t.u32([1, 4], (i) => [0, queries, 0, keys][i]!);
      const args = { q, k, v, y, spans, maxQueries: queries, heads, headDim, scale: 1 / 8 };
      return attentionTrial(device, args);
    },
  });
}

/** A scale of the 2B model at 1024², with guidance. */
function scaleProbe(size: number, queries: number, keys: number): Probe {
  const [heads, headDim, batch] = [16, 128, 2];
  return {
    size,
    label: `${batch}x ${heads} heads, ${queries} q, ${keys} k, hd ${headDim}`,
    setup(device, t) {
      const rows = (n: number) => t.f32(batch * n, heads * headDim);
      const [q, y, k, v] = [rows(queries), rows(queries), rows(keys), rows(keys)];
      const span = (i: number) => [(i >> 2) * queries, queries, (i >> 2) * keys, keys][i & 3]!;
      const spans = t.u32([batch, 4], span);
      const args = { q, k, v, y, spans, maxQueries: queries, heads, headDim, scale: 1 / 8 };
      return attentionTrial(device, args);
    },
  };
}

/** Side² queries attend to all keys up to their scale. */
const SCALES = [[16, 21], [36, 57], [64, 121], [144, 265], [256, 521]] as const;
const LARGE_SCALES = [[256, 521], [400, 921], [576, 1497], [1024, 2521]] as const;

const QUERIES = [8, 16, 32, 64, 128, 256, 512];

/** Probes by choice. */
export type Probes = Readonly<Partial<Record<keyof typeof CHOICES, readonly Probe[]>>>;

/** The probes of each choice that the adapter has. */
function probes(device: Device): Probes {
  if (usesTexture(device)) {
    return {
      "matmul_texture rows": matmulProbes,
      "matmul_texture patches": convProbes,
      "attention operands": QUERIES.map((n) => attentionProbe((_, ratio) => ratio, n)(device)),
      "attention_texture queries": QUERIES.slice(2).map((n) =>
        attentionProbe((lanes) => n / lanes, n)(device)
      ),
    };
  }
  if (device.capabilities.class === "cpu") return {};
  return {
    "matmul": [8, 32, 72, 128, 288].map((M) => productProbe([M, 2048, 2048], M, plainType(device))),
    "matmul_tiles parts": partsProbes(device, 2048, SHALLOW),
    "matmul_tiles parts, deep": partsProbes(device, 8192, DEEP),
    "conv2d_tiles parts": tilesConvProbes,
    ...matrixShape(device) && {
      "matmul_matrix shallow": matrixProbes([2048, 8192]),
      "matmul_matrix deep": matrixProbes([8192, 2048]),
      "conv2d_matrix": matrixConvProbes,
    },
    "attention": SCALES.map(([n, keys]) => scaleProbe(n, n, keys)),
    "attention matrix": onePassProbes(device),
    "attention backward": backwardProbes(device),
    "attention_tiles queries": LARGE_SCALES.map(([n, keys]) =>
      scaleProbe(32 * Math.ceil(n / 128), n, keys)
    ),
  };
}

/** Runs something that makes `y`, and reads it. What it leaves unwritten is NaN. */
async function made(device: Device, y: Tensor, run: () => void): Promise<Float32Array> {
  device.upload(y, new Uint8Array(y.byteLength).fill(0xff));
  run();
  return await device.read(y) as Float32Array;
}

/** Proves and times all variants of a choice on one probe. */
async function measure(
  device: Device,
  profiler: Profiler,
  choice: string,
  variants: readonly string[],
  probe: Probe,
  before: Tuning,
): Promise<Omit<TuneRow, "best"> & { readonly size: number }> {
  using tensors = new Noise(device);
  const { run, y, plain, tolerance } = probe.setup(device, tensors);
  const right = await made(device, y, plain);
  const times: Record<string, number> = {};
  const wrong: Record<string, number> = {};
  for (const variant of variants) {
    // operands must be textures to choose their tile
    const forced = choice === "attention_texture queries"
      ? { "attention operands": "texture" }
      : {};
    const all = Object.entries({ ...forced, [choice]: variant });
    device.tuning = { ...before, ...Object.fromEntries(all.map(([key, v]) => [key, [[0, v]]])) };
    const error = worstError(await made(device, y, run), right);
    if (!(error <= tolerance)) {
      wrong[variant] = error;
      continue;
    }
    await profiler.report(); // discards the time of the proof
    const samples = await gpuTimes(device, profiler, run);
    const cpu = device.capabilities.class === "cpu";
    times[variant] = median(samples.map((sample) => cpu ? sample.cpu : sample.wall));
  }
  return { choice, label: probe.label, size: probe.size, times, wrong };
}

/**
 * Proves and measures every choice on this adapter, in order: later choices build on earlier ones. A variant that is
 * wrong on one probe is chosen for none.
 */
export async function tune(
  device: Device,
  profiler: Profiler,
  all: Probes = probes(device),
): Promise<{ tuning: Tuning; rows: TuneRow[] }> {
  const tuning: Record<string, (readonly [number, string])[]> = {};
  const rows: TuneRow[] = [];
  const before = device.tuning;
  for (const [choice, list] of Object.entries(all)) {
    const { variants } = CHOICES[choice as keyof typeof CHOICES];
    const measured: Awaited<ReturnType<typeof measure>>[] = [];
    for (const probe of list) {
      measured.push(await measure(device, profiler, choice, variants, probe, tuning));
    }
    const proved = variants.filter((variant) => measured.every(({ wrong }) => !(variant in wrong)));
    const { steps, best } = chooseSteps(proved, measured);
    measured.forEach(({ size: _, ...row }, i) => rows.push({ ...row, best: best[i] ?? null }));
    if (steps.length > 0) tuning[choice] = steps;
  }
  device.tuning = before;
  return { tuning, rows };
}

/** Chooses the fastest of `variants` by size; returns the steps, and the choice for each probe. */
export function chooseSteps(
  variants: readonly string[],
  measured: readonly { readonly size: number; readonly times: Readonly<Record<string, number>> }[],
): { steps: [number, string][]; best: string[] } {
  const steps: [number, string][] = [];
  const best: string[] = [];
  let last = 0;
  for (const { size, times } of variants.length > 0 ? measured : []) {
    const current = steps.at(-1)?.[1] ?? variants[0]!;
    const fastest = variants.toSorted((a, b) => times[a]! - times[b]!)[0]!;
    const chosen = times[fastest]! < GAIN * times[current]! ? fastest : current;
    // between two probes: the geometric mean
    if (chosen !== current || steps.length === 0) {
      steps.push([Math.round(Math.sqrt(last * size)), chosen]);
    }
    last = size;
    best.push(chosen);
  }
  return { steps, best };
}
