import { timed, type Times } from "../measuring/measure.ts";
import { Device, dryGpu, OutOfMemoryError } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { parseConfig } from "../../model/config/config.ts";
import { findPreset } from "../../model/config/presets.ts";
import { transformerFlops } from "../../model/generate/plan/flops.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import { makePlan } from "../../model/generate/plan/plan.ts";

/** A model and options, as a point on an axis along which work grows. */
interface Case {
  readonly axis: "batch" | "resolution" | "model size";
  readonly model: string;
  /** Position on the axis: number of images, of pixels, of parameters of the transformer. */
  readonly size: number;
  readonly label: string;
  readonly options: GenerateOptions;
}

/** One point: always planned, measured where it fits. */
export interface GrowthRow extends Omit<Case, "options"> {
  /**
   * Why no adapter of this class can generate it; then only the transformer's operations count, and the peak is NaN.
   */
  readonly refused?: string;
  /** Multiplications and additions of linear layers, convolutions and attention. */
  readonly flops: number;
  /** Bytes held at the peak. */
  readonly peak: number;
  /** Milliseconds: operations over the rate of the model's largest measured point, or of the largest one at all. */
  readonly planned: number;
  /** Wall and CPU milliseconds once warm; null if it was not generated. */
  readonly measured: Times | null;
}

/** Exponent of time, and of memory, along an axis, fitted to all of its points: 1 is proportional. */
export interface Slope {
  readonly axis: string;
  readonly model: string;
  readonly time: number;
  readonly memory: number;
}

const TOKENS = 64;

function synthetic(name: string) {
  return parseConfig({ ...findPreset(name).config, text_encoder: null }, name);
}

function textOf(name: string): GenerateOptions {
  const width = synthetic(name).transformer.text_channels;
  return {
    textFeatures: { features: new Float32Array(TOKENS * width).fill(0.1), width, lens: [TOKENS] },
    seed: 7,
  };
}

const CASES: readonly Case[] = [
  ...[1, 2, 4, 8, 16].map((n): Case => ({
    axis: "batch",
    model: "emoji-nano",
    size: n,
    label: `${n} images`,
    options: { prompt: "red apple", seed: 7, batchCount: n },
  })),
  ...["125m", "2b"].flatMap((model) =>
    [256, 512, 1024, 2048].map((n): Case => ({
      axis: "resolution",
      model,
      size: n * n,
      label: `${n}x${n}`,
      options: { ...textOf(model), ...sized(n) },
    }))
  ),
  ...[["125m", 125e6], ["1b", 1e9], ["2b", 2e9], ["8b-512", 8e9]].map((
    [model, size],
  ): Case => ({
    axis: "model size",
    model: String(model),
    size: Number(size),
    label: `${model} at 256x256`,
    options: { ...textOf(String(model)), ...sized(256) },
  })),
];

/** A size that the model has a schedule for, or beyond them the largest schedule with each scale grown. */
function sized(n: number): GenerateOptions {
  if (n <= 1024) return { width: n, height: n };
  const sides = [1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64];
  return { schedule: sides.map((s, i) => i === 0 ? [1, 1] as const : [2 * s, 2 * s] as const) };
}

async function open(model: string, device: Device): Promise<InfinityModel> {
  return model === "emoji-nano"
    ? await InfinityModel.load("emoji-nano", { device })
    : await InfinityModel.synthetic(synthetic(model), { device, type: typeFor(device) });
}

function typeFor({ capabilities }: Device): "f16" | "f32" {
  return capabilities.class === "gpu" && capabilities.f16 ? "f16" : "f32";
}

/** Operations and peak of a case, from the same code on a GPU that computes nothing. */
async function plan(
  { model, options }: Case,
  software: boolean,
): Promise<{ flops: number; peak: number; refused?: string }> {
  using device = await Device.open({ gpu: dryGpu(software) });
  using opened = await open(model, device);
  const before = device.counters.flops;
  device.memory.resetPeak();
  await opened.generate(options);
  return { flops: device.counters.flops - before, peak: device.memory.peakBytes };
}

/** Operations of the transformer alone. */
function transformer({ model, options }: Case): number {
  const config = synthetic(model);
  const scales = transformerFlops(config.transformer, makePlan(config, options, 1), TOKENS);
  return scales.reduce((sum, s) => sum + s.linear + s.selfAttention + s.crossAttention, 0);
}

/**
 * Plans all cases, and measures those that should take less than `seconds` and fit into `bytes`. `rate`, in operations
 * per millisecond, is the first guess.
 */
export async function benchGrowth(
  device: Device,
  seconds: number,
  bytes: number,
  rate: number,
): Promise<{ rows: GrowthRow[]; slopes: Slope[] }> {
  const rows: (GrowthRow & { known: number })[] = [];
  const rates = new Map<string, number>();
  using models = new DisposableStack();
  const opened: { name?: string; model?: InfinityModel } = {};
  for (const given of CASES) {
    const { axis, model, size, label } = given;
    const { flops, peak, refused } = await plan(given, device.capabilities.class === "cpu")
      .catch((error) => {
        if (!(error instanceof OutOfMemoryError)) throw error;
        return { flops: transformer(given), peak: NaN, refused: error.message };
      });
    const guess = flops / (rates.get(model) ?? rate);
    let measured: Times | null = null;
    if (2 * guess < 1000 * seconds && peak < bytes) {
      if (opened.name !== model) {
        opened.model?.dispose();
        device.trim();
        opened.model = models.use(await open(model, device));
        opened.name = model;
      }
      const run = () => opened.model!.generate(given.options);
      await run();
      const samples: Times[] = [];
      for (let i = 0; i < (guess < 1000 ? 5 : 1); i++) samples.push(await timed(run));
      measured = samples.sort((a, b) => a.cpu - b.cpu)[Math.floor(samples.length / 2)]!;
      rates.set(model, flops / measured.wall);
      rate = flops / measured.wall;
    }
    const numbers = { flops, peak, measured, planned: 0, known: rate };
    rows.push({ axis, model, size, label, ...numbers, ...refused && { refused } });
  }
  const done = rows.map(({ known, ...row }) => ({
    ...row,
    planned: row.flops / (rates.get(row.model) ?? known),
  }));
  return { rows: done, slopes: slopes(done) };
}

/** Exponent of a power law, by least squares over logarithms. */
function exponent(points: readonly (readonly [size: number, value: number])[]): number {
  const logs = points.map(([size, value]) => [Math.log(size), Math.log(value)] as const);
  const mean = (axis: 0 | 1) => logs.reduce((sum, log) => sum + log[axis], 0) / logs.length;
  const [x0, y0] = [mean(0), mean(1)];
  const sum = (term: (x: number, y: number) => number) =>
    logs.reduce((total, [x, y]) => total + term(x - x0, y - y0), 0);
  return sum((x, y) => x * y) / sum((x) => x * x);
}

/** Fits one slope per axis and model: to measured times, or to operations if some points were not measured. */
export function slopes(rows: readonly GrowthRow[]): Slope[] {
  const groups = new Map<string, GrowthRow[]>();
  for (const row of rows) {
    const key = row.axis === "model size" ? row.axis : `${row.axis}, ${row.model}`;
    groups.set(key, [...groups.get(key) ?? [], row]);
  }
  return [...groups.values()].map((group) => {
    const fit = group.filter(({ refused }) => !refused);
    const [{ axis, model }] = group as [GrowthRow];
    const complete = fit.every(({ measured }) => measured);
    return {
      axis,
      model: axis === "model size" ? "synthetic" : model,
      time: exponent(fit.map((row) => [row.size, complete ? row.measured!.wall : row.flops])),
      memory: exponent(fit.map(({ size, peak }) => [size, peak])),
    };
  });
}
