import { Tensors } from "./kernels.ts";
import { gpuTimes, median } from "./measure.ts";
import type { Device, Profiler, Tuning } from "../engine/mod.ts";
import { attention } from "../kernels/attention/attention.ts";
import { conv2d, packConv } from "../kernels/conv/conv2d.ts";
import { packLinear } from "../kernels/linear/linear.ts";
import { usesTexture } from "../kernels/shared/textures.ts";
import { matmul } from "../kernels/linear/matmul.ts";
import { matrixShape, TILES } from "../kernels/shared/matrix.ts";
import { CHOICES } from "../kernels/shared/variants.ts";

/** Work of one size on which all variants of a choice are timed. */
interface Probe {
  readonly size: number;
  readonly label: string;
  readonly setup: (device: Device, t: Tensors) => () => void;
}

/** A measured probe: milliseconds by variant. */
export interface TuneRow {
  readonly choice: string;
  readonly label: string;
  readonly times: Readonly<Record<string, number>>;
  readonly best: string;
}

/** To replace the variant of smaller sizes, another must take at most this share of its time. */
const GAIN = 0.97;

const matmulProbes = [
  [4, 512, 1024],
  [8, 512, 1024],
  [16, 512, 1024],
  [32, 512, 1024],
  [64, 512, 1024],
  [128, 512, 1024],
  [256, 512, 1024],
  [1024, 512, 1024],
].map(([M = 0, K = 0, N = 0]): Probe => ({
  size: M,
  label: `${M}x${K}x${N}`,
  setup(device, t) {
    const [x, y, linear] = [t.f32(M, K), t.f32(M, N), packLinear(device, [t.f32(N, K)], null)];
    t.defer(() => linear.weight.dispose());
    return () => matmul(device, { x, linear, y });
  },
}));

/** A linear layer of the 2B model, on different numbers of tokens. */
const matrixProbes = [64, 256, 512, 1024, 2048, 4096].map((M): Probe => {
  const [K, N] = [2048, 2048];
  return {
    size: Math.ceil(M / TILES.large.m) * Math.ceil(N / TILES.large.n),
    label: `${M}x${K}x${N} f16`,
    setup(device, t) {
      const linear = packLinear(device, [t.f32(N, K)], null, "f16");
      const [x, y] = [t.f32(M, K), t.f32(M, N)];
      t.defer(() => linear.weight.dispose());
      return () => matmul(device, { x, linear, y });
    },
  };
});

const convProbes = [[4, 128], [8, 64], [16, 64], [32, 64], [64, 64], [64, 128]].map(
  ([side = 0, C = 0]): Probe => ({
    size: side * side,
    label: `${side}x${side}, 3x3 ${C} to ${C}`,
    setup(device, t) {
      const [x, y] = [t.f32(1, side, side, C), t.f32(1, side, side, C)];
      const conv = packConv(device, t.f32(C, C, 3, 3), t.f32(C));
      t.defer(() => conv.weight.dispose());
      return () => conv2d(device, { x, conv, y });
    },
  }),
);

/** The widest linear layer of the 2B model, with weights of a type that tensor cores do not take. */
function tilesProbe(device: Device, M: number): Probe {
  const [K, N] = [2048, 8192];
  const type = device.capabilities.f16 && !matrixShape(device) ? "f16" : "f32";
  return {
    size: M,
    label: `${M}x${K}x${N} ${type}`,
    setup(device, t) {
      const linear = packLinear(device, [t.f32(N, K)], null, type);
      const [x, y] = [t.f32(M, K), t.use(device.tensor("f32", [M, N]))];
      t.defer(() => linear.weight.dispose());
      return () => matmul(device, { x, linear, y });
    },
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
      return () => attention(device, args);
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
      const args = { q, k, v, y, spans, maxQueries: queries, heads, headDim, scale: 1 };
      return () => attention(device, args);
    },
  };
}

/** Side² queries attend to all keys up to their scale. */
const SCALES = [[16, 21], [36, 57], [64, 121], [144, 265], [256, 521]] as const;
const LARGE_SCALES = [[256, 521], [400, 921], [576, 1497], [1024, 2521]] as const;

const QUERIES = [8, 16, 32, 64, 128, 256, 512];

/** The probes of each choice; none where the adapter has no choice. */
function probes(device: Device): Readonly<Record<keyof typeof CHOICES, readonly Probe[]>> {
  if (!usesTexture(device)) {
    return {
      "matmul_texture rows": [],
      "matmul_texture patches": [],
      "matmul tiles": device.capabilities.class === "gpu"
        ? [32, 128, 512, 2048, 8192].map((M) => tilesProbe(device, M))
        : [],
      "matrix tile": matrixShape(device) ? matrixProbes : [],
      attention: SCALES.map(([n, keys]) => scaleProbe(n, n, keys)),
      "attention_tiles queries": LARGE_SCALES.map(([n, keys]) =>
        scaleProbe(32 * Math.ceil(n / 128), n, keys)
      ),
      "attention operands": [],
      "attention_texture queries": [],
    };
  }
  return {
    "matmul_texture rows": matmulProbes,
    "matmul_texture patches": convProbes,
    "matmul tiles": [],
    "matrix tile": [],
    attention: [],
    "attention_tiles queries": [],
    "attention operands": QUERIES.map((n) => attentionProbe((_, ratio) => ratio, n)(device)),
    "attention_texture queries": QUERIES.slice(2).map((n) =>
      attentionProbe((lanes) => n / lanes, n)(device)
    ),
  };
}

/** Measures every choice on this adapter, in order: later choices build on earlier ones. */
export async function tune(
  device: Device,
  profiler: Profiler,
): Promise<{ tuning: Tuning; rows: TuneRow[] }> {
  const tuning: Record<string, (readonly [number, string])[]> = {};
  const rows: TuneRow[] = [];
  const before = device.tuning;
  for (const [choice, list] of Object.entries(probes(device))) {
    const { variants } = CHOICES[choice as keyof typeof CHOICES];
    const steps: [number, string][] = [];
    let last = 0;
    for (const { size, label, setup } of list) {
      using tensors = new Tensors(device);
      const run = setup(device, tensors);
      const times: Record<string, number> = {};
      for (const variant of variants) {
        // operands must be textures to choose their tile
        const forced = choice === "attention_texture queries"
          ? { "attention operands": "texture" }
          : {};
        device.tuning = Object.fromEntries(
          Object.entries({ ...forced, [choice]: variant }).map((
            [key, value],
          ) => [key, [[0, value]]]),
        );
        const samples = await gpuTimes(device, profiler, run);
        const cpu = device.capabilities.class === "cpu";
        times[variant] = median(samples.map((sample) => cpu ? sample.cpu : sample.wall));
      }
      const current = steps.at(-1)?.[1] ?? variants[0]!;
      const fastest = variants.toSorted((a, b) => times[a]! - times[b]!)[0]!;
      const best = times[fastest]! < GAIN * times[current]! ? fastest : current;
      // between two probes: the geometric mean
      if (best !== current || steps.length === 0) {
        steps.push([Math.round(Math.sqrt(last * size)), best]);
      }
      last = size;
      rows.push({ choice, label, times, best });
    }
    if (steps.length > 0) tuning[choice] = steps;
  }
  device.tuning = before;
  return { tuning, rows };
}
