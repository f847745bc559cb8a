import { gpuTimes, median } from "../measuring/measure.ts";
import type { Device, Profiler, Tensor } from "../../engine/mod.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { qkvRope } from "../../kernels/attention/qkv_rope.ts";
import { accumulateCodes } from "../../kernels/bits/accumulate_codes.ts";
import { forceBits } from "../../kernels/bits/force_bits.ts";
import { nextInput } from "../../kernels/bits/next_input.ts";
import { quantiseBits } from "../../kernels/bits/quantise_bits.ts";
import { resample } from "../../kernels/bits/resample.ts";
import { sampleBits } from "../../kernels/bits/sample_bits.ts";
import { conv2d } from "../../kernels/conv/conv2d.ts";
import { packConv } from "../../kernels/conv/conv2d_weight.ts";
import { checkFinite } from "../../kernels/elementwise/check_finite.ts";
import { gatedGelu } from "../../kernels/elementwise/gated_gelu.ts";
import { guide } from "../../kernels/elementwise/guide.ts";
import { padRows } from "../../kernels/elementwise/pad_rows.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import { rgba8 } from "../../kernels/elementwise/rgba8.ts";
import { activate } from "../../kernels/elementwise/activate.ts";
import { widen } from "../../kernels/elementwise/widen.ts";
import { dequantise } from "../../kernels/linear/dequantise.ts";
import { packLinear } from "../../kernels/linear/linear.ts";
import { matmul } from "../../kernels/linear/matmul.ts";
import { sumParts } from "../../kernels/linear/sum_parts.ts";
import { adaVectors } from "../../kernels/norm/ada_vectors.ts";
import { groupNorm } from "../../kernels/norm/group_norm.ts";
import { layerNorm } from "../../kernels/norm/layer_norm.ts";
import { addLevel } from "../../kernels/tokens/add_level.ts";
import { copyRows } from "../../kernels/tokens/copy_rows.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import { tokenInput } from "../../kernels/tokens/token_input.ts";
import { type Row, Tensors } from "./row.ts";
import { TRAINING_ROWS } from "./training_kernels.ts";

/**
 * A measured row: median and best GPU time of one run, CPU time per core, and the rate of work, over the median or, on
 * a CPU, over CPU time; `percent` compares the rate with the ceiling.
 */
export interface KernelResult {
  readonly name: string;
  readonly shape: string;
  readonly milliseconds: number;
  readonly best: number;
  readonly cpu: number;
  readonly rate: number;
  readonly unit: "GFLOP/s" | "GB/s";
  readonly percent: number;
}

function bytes(...tensors: Tensor[]): number {
  return tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function matmulRow(M: number, K: number, N: number): Row {
  return {
    name: "matmul",
    shape: `${M}x${K}x${N}`,
    setup(device, t) {
      const [x, y, linear] = [t.f32(M, K), t.f32(M, N), packLinear(device, [t.f32(N, K)], null)];
      t.defer(() => linear.weight.dispose());
      return { run: () => matmul(device, { x, linear, y }), flops: 2 * M * K * N };
    },
  };
}

function attentionRow(batch: number, heads: number, queries: number, keys: number): Row {
  const headDim = 64;
  return {
    name: "attention",
    shape: `${batch > 1 ? `${batch}x ` : ""}${heads} heads, ${queries} q, ${keys} k, hd ${headDim}`,
    setup(device, t) {
      const [q, y] = [
        t.f32(batch * queries, heads, headDim),
        t.f32(batch * queries, heads, headDim),
      ];
      const [k, v] = [t.f32(batch * keys, heads, headDim), t.f32(batch * keys, heads, headDim)];
      const span = (i: number) => [(i >> 2) * queries, queries, (i >> 2) * keys, keys][i & 3]!;
      const spans = t.u32([batch, 4], span);
      const args = { q, k, v, y, spans, maxQueries: queries, heads, headDim, scale: 1 / 8 };
      const flops = 4 * batch * heads * queries * keys * headDim;
      return { run: () => attention(device, args), flops };
    },
  };
}

function row(name: string, shape: string, setup: Row["setup"]): Row {
  return { name, shape, setup };
}

/**
 * Every launcher has a row (tests/kernels/kernels_test.ts). Shapes come from emoji-nano (the first matmul, the second
 * attention) and Infinity-2B, or are round numbers that others publish.
 */
const ROWS: readonly Row[] = [
  matmulRow(32, 256, 1024),
  matmulRow(256, 1024, 4096),
  matmulRow(1024, 1024, 1024),
  matmulRow(128, 2048, 8192),
  attentionRow(1, 8, 256, 1024),
  attentionRow(2, 4, 16, 30),
  row("conv2d", "3x3 64 to 64, 64x64", (device, t) => {
    const [x, y] = [t.f32(1, 64, 64, 64), t.f32(1, 64, 64, 64)];
    const conv = packConv(device, t.f32(64, 64, 3, 3), t.f32(64));
    t.defer(() => conv.weight.dispose());
    return { run: () => conv2d(device, { x, conv, y }), flops: 2 * 64 * 64 * 64 * 64 * 9 };
  }),
  row("group_norm", "64x64x512, 32 groups, SiLU", (device, t) => {
    const [x, y, weight, bias] = [
      t.f32(1, 64, 64, 512),
      t.f32(1, 64, 64, 512),
      t.f32(512),
      t.f32(512),
    ];
    const args = { x, y, weight, bias, groups: 32, eps: 1e-6, activation: "silu" } as const;
    // x is read twice: for the statistics, then to normalise
    return { run: () => groupNorm(device, args), bytes: bytes(x, x, y) };
  }),
  row("layer_norm", "1024x1024", (device, t) => {
    const [x, y] = [t.f32(1024, 1024), t.f32(1024, 1024)];
    return { run: () => layerNorm(device, { x, y, eps: 1e-6 }), bytes: bytes(x, y) };
  }),
  row("qkv_rope", "2x256 tokens, 16 heads of 128", (device, t) => {
    const [batch, rows, heads, headDim] = [2, 256, 16, 128];
    const [qkv, q] = [t.f32(batch * rows, 3 * 2048), t.f32(batch * rows, 2048)];
    const [kCache, vCache] = [t.f32(batch, rows, 2048), t.f32(batch, rows, 2048)];
    const rope = { cos: t.f32(rows, headDim / 2), sin: t.f32(rows, headDim / 2) };
    const starts = { ropeStart: 0, cacheStart: 0 };
    const args = {
      qkv,
      q,
      kCache,
      vCache,
      rope,
      scaleMul: t.f32(heads),
      batch,
      rows,
      heads,
      headDim,
    };
    return {
      run: () => qkvRope(device, { ...args, ...starts }),
      bytes: bytes(qkv, q, kCache, vCache, rope.cos, rope.sin),
    };
  }),
  row("sample_bits", "4096 tokens, 32 bits, guided", (device, t) => {
    const [delta, bits, seeds] = [t.f32(2, 4096, 32), t.u32([1, 4096, 32]), t.u32([1, 2])];
    const settings = { cfg: 3, tau: 0.5, topK: 0, topP: 0, mode: "random", scale: 12 } as const;
    const nonFinite = t.u32([1]);
    const args = { ...settings, delta, bits, seeds, batch: 1, guided: true, nonFinite };
    return { run: () => sampleBits(device, args), bytes: bytes(delta, bits) };
  }),
  row("accumulate_codes", "48x48 to 64x64, 32 bits", (device, t) => {
    const [bits, sum] = [t.u32([1, 48 * 48, 32], (i) => i % 3 & 1), t.f32(1, 64, 64, 32)];
    const args = { bits, sum, height: 48, width: 48, first: false, patchify: false };
    return { run: () => accumulateCodes(device, args), bytes: bytes(bits, sum, sum) };
  }),
  row("quantise_bits", "64x64 to 48x48, 32 bits", (device, t) => {
    const [x, bits] = [t.f32(1, 64, 64, 32), t.u32([1, 48 * 48, 32])];
    const args = { x, bits, height: 48, width: 48 };
    return { run: () => quantiseBits(device, args), bytes: bytes(x, bits) };
  }),
  row("force_bits", "4096 tokens, 32 bits", (device, t) => {
    const [forced, bits] = [t.u32([1, 4096, 32], (i) => i % 3), t.u32([1, 4096, 32])];
    return { run: () => forceBits(device, { forced, bits }), bytes: bytes(forced, bits, bits) };
  }),
  row("next_input", "64x64 to 48x48, 32 channels", (device, t) => {
    const [sum, y] = [t.f32(1, 64, 64, 32), t.f32(1, 48 * 48, 32)];
    const args = { sum, y, height: 48, width: 48, patchify: false };
    return { run: () => nextInput(device, args), bytes: bytes(sum, y) };
  }),
  row("resample", "area, 64x64 to 48x48, 32 channels", (device, t) => {
    const [x, y] = [t.f32(1, 64, 64, 32), t.f32(1, 48, 48, 32)];
    return { run: () => resample(device, { x, y, mode: "area" }), bytes: bytes(x, y) };
  }),
  row("resample", "linear, 64x64 to 256x256, 64 channels", (device, t) => {
    const [x, y] = [t.f32(1, 64, 64, 64), t.f32(1, 256, 256, 64)];
    return { run: () => resample(device, { x, y, mode: "linear" }), bytes: bytes(x, y) };
  }),
  row("rgba8", "1024x1024", (device, t) => {
    const [x, y] = [t.f32(1, 1024, 1024, 3), t.u32([1, 1024, 1024])];
    return { run: () => rgba8(device, { x, y }), bytes: bytes(x, y) };
  }),
  row("embedding", "512 of 3144x2048", (device, t) => {
    const [ids, table, y] = [
      t.u32([512], (i) => i * 7919 % 3144),
      t.f32(3144, 2048),
      t.f32(512, 2048),
    ];
    return { run: () => embedding(device, { ids, table, y }), bytes: bytes(ids, y, y) };
  }),
  row("gated_gelu", "512x5120", (device, t) => {
    const [h, y] = [t.f32(512, 2 * 5120), t.f32(512, 5120)];
    return { run: () => gatedGelu(device, { h, y }), bytes: bytes(h, y) };
  }),
  row("activate", "4M, SiLU", (device, t) => {
    const [x, y] = [t.f32(4096, 1024), t.f32(4096, 1024)];
    return { run: () => activate(device, { x, y, kind: "silu" }), bytes: bytes(x, y) };
  }),
  row("guide", "2x1024x2048", (device, t) => {
    const y = t.f32(2, 1024, 2048);
    return { run: () => guide(device, { y, cfg: 3 }), bytes: bytes(y, y) };
  }),
  row("token_input", "1x1024x2048 to 2x1024x2048", (device, t) => {
    const [words, table, level, y] = [
      t.f32(1, 1024, 2048),
      t.f32(15, 2048),
      t.u32([1024]),
      t.f32(2, 1024, 2048),
    ];
    const args = { start: null, words, table, level, y };
    return { run: () => tokenInput(device, args), bytes: bytes(words, level, y) };
  }),
  row("add_level", "2x1024x2048", (device, t) => {
    const [table, level, y] = [t.f32(15, 2048), t.u32([1024]), t.f32(2, 1024, 2048)];
    return { run: () => addLevel(device, { table, level, y }), bytes: bytes(level, y, y) };
  }),
  row("ada_vectors", "32 blocks, 2x6x2048", (device, t) => {
    const [shared, adaGss, y] = [t.f32(2, 12288), t.f32(32, 12288), t.f32(32, 2, 12288)];
    return {
      run: () => adaVectors(device, { shared, adaGss, y }),
      bytes: bytes(shared, adaGss, y),
    };
  }),
  row("copy_rows", "2x 576 of 1024 rows, 2048", (device, t) => {
    const [x, y] = [t.f32(2, 1024, 2048), t.f32(2, 1024, 2048)];
    const moved = 2 * bytes(x) * 576 / 1024; // read and written
    return { run: () => copyRows(device, { x, y, rows: 576 }), bytes: moved };
  }),
  row("random_normal", "4M", (device, t) => {
    const y = t.f32(4 << 20);
    return { run: () => randomNormal(device, { y, key: 7 }), bytes: bytes(y) };
  }),
  row("check_finite", "4M", (device, t) => {
    const [x, nonFinite] = [t.f32(4 << 20), t.u32([1])];
    return { run: () => checkFinite(device, { x, nonFinite }), bytes: bytes(x) };
  }),
  row("pad_rows", "1M rows of 3", (device, t) => {
    const [rows, K] = [1 << 20, 3];
    const x = t.f32(rows, K);
    return { run: () => padRows(device, x, K)?.dispose(), bytes: bytes(x) * 7 / 3 }; // reads 3, writes 4
  }),
  row("dequantise", "4M from q8_0", (device, t) => {
    const [x, y] = [t.u32([1 << 20], () => 0x807f0102), t.f32(2048, 2048)];
    const scales = t.u32([1 << 16], () => 0x3c003800);
    return {
      run: () => dequantise(device, { x, scales, y, type: "q8_0" }),
      bytes: bytes(x, scales, y),
    };
  }),
  row("sum_parts", "4x 576x2048", (device, t) => {
    const [parts, y] = [t.f32(4, 576, 2048), t.f32(576, 2048)];
    return {
      run: () => sumParts(device, { parts, N: 2048, bias: null, y }),
      bytes: bytes(parts, y),
    };
  }),
  row("widen", "4M from F16", (device, t) => {
    const [x, y] = [t.u32([2 << 20], () => 0x3c003800), t.f32(4 << 20)];
    return { run: () => widen(device, { x, y, from: "F16" }), bytes: bytes(x, y) };
  }),
  ...TRAINING_ROWS,
];

/** Names that `--only` accepts. */
export const KERNEL_NAMES: readonly string[] = [...new Set(ROWS.map(({ name }) => name))];

/** Measures all rows, or those of one launcher. */
export async function benchKernels(
  device: Device,
  profiler: Profiler,
  only?: string,
): Promise<Omit<KernelResult, "percent">[]> {
  const measured: Omit<KernelResult, "percent">[] = [];
  for (const { name, shape, setup } of ROWS) {
    if (only && only !== name) continue;
    using tensors = new Tensors(device);
    const work = setup(device, tensors);
    device.flush();
    await profiler.report(); // discards the time of packing in setup
    const times = await gpuTimes(device, profiler, work.run);
    const walls = times.map(({ wall }) => wall);
    const milliseconds = median(walls);
    const cpu = median(times.map((sample) => sample.cpu));
    const unit = "flops" in work ? "GFLOP/s" : "GB/s";
    const rated = device.capabilities.class === "cpu" ? cpu : milliseconds;
    const rate = ("flops" in work ? work.flops : work.bytes) / rated / 1e6;
    measured.push({ name, shape, milliseconds, best: Math.min(...walls), cpu, rate, unit });
  }
  return measured;
}
