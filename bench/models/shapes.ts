import { timed, type Times } from "../measuring/measure.ts";
import type { Device, KernelTime, Profiler } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { parseConfig } from "../../model/config/config.ts";
import { findPreset } from "../../model/config/presets.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";

/** A model of which every dispatch is timed in place: at each scale, on the data of that scale. */
export interface Model {
  /** Name for `--models`. */
  readonly name: string;
  /** Heading of its table. */
  readonly title: string;
  /** Number of images to generate; the best time of each row counts. */
  readonly runs: number;
  readonly open: (device: Device) => Promise<InfinityModel>;
  readonly options: GenerateOptions;
}

/** Tokens of a prompt of usual length. */
const TOKENS = 64;

/** One block of a published model, as all of its blocks are alike, without its text encoder. */
function block(name: string, size: number): Model {
  const { config } = findPreset(name);
  const transformer = { ...config.transformer as object, depth: 1, block_chunks: 1 };
  const parsed = parseConfig({ ...config, transformer, text_encoder: null }, name);
  const width = parsed.transformer.text_channels;
  return {
    name,
    title: `${name} at ${size}x${size}: one of its blocks, and everything else`,
    runs: 2,
    open: (device) => {
      // the type that a GPU would use
      const type = device.capabilities.class === "gpu" && device.capabilities.f16 ? "f16" : "f32";
      return InfinityModel.synthetic(parsed, { device, type });
    },
    options: {
      width: size,
      height: size,
      seed: 7,
      textFeatures: { features: new Float32Array(TOKENS * width).fill(0.1), width, lens: [TOKENS] },
    },
  };
}

/** All models. The last is too slow on a CPU to be measured by default. */
export const MODELS: readonly Model[] = [
  {
    name: "emoji-nano",
    title: "emoji-nano at 32x32",
    runs: 5,
    open: (device) => InfinityModel.load("emoji-nano", { device }),
    options: { prompt: "red apple", seed: 7 },
  },
  block("125m", 256),
  block("2b", 1024),
];

/** One kernel at one shape of one scale. */
export interface ShapeRow extends KernelTime {
  /** GFLOP/s if operations are known, otherwise GB/s of the bound tensors. */
  readonly rate: number;
  readonly unit: "GFLOP/s" | "GB/s";
}

/** A model's rows, the longest first within each scale, and the times of an image. */
export interface ModelShapes {
  readonly model: string;
  readonly title: string;
  readonly rows: readonly ShapeRow[];
  readonly image: Times;
}

/** Generates images on a profiled device and keeps the best time of each row. */
export async function benchShapes(
  device: Device,
  profiler: Profiler,
  model: Model,
): Promise<ModelShapes> {
  using opened = await model.open(device);
  await device.finish();
  await profiler.report();
  let names: string[] = [];
  const options: GenerateOptions = {
    ...model.options,
    onStage: (stage) => profiler.section = stage,
    onProgress({ stage, height, width, scale, scales }) {
      if (stage === "decode") return;
      names[scale] = `${height}x${width}`;
      profiler.section = scale + 1 < scales ? `scale ${scale + 2}` : "vae";
    },
  };
  const best = new Map<string, KernelTime>();
  let image: Times = { wall: Infinity, cpu: Infinity };
  for (let run = 0; run <= model.runs; run++) {
    const times = await timed(() => opened.generate(options));
    const rows = await profiler.report();
    if (run === 0) continue; // compiles
    if (times.cpu < image.cpu) image = times;
    for (const row of rows) {
      const key = [row.section, row.name, row.shape].join();
      const known = best.get(key);
      if (!known || row.milliseconds < known.milliseconds) best.set(key, row);
    }
  }
  names = names.map((name, i) => `${i + 1}: ${name}`);
  const rows = [...best.values()].map((row): ShapeRow => {
    const section = row.section === "transformer"
      ? names[0]!
      : row.section.replace(/^scale (\d+)$/, (_, i) => names[i - 1]!);
    const unit = row.flops ? "GFLOP/s" : "GB/s";
    const rate = (row.flops || row.bytes) / row.milliseconds / 1e6;
    return { ...row, section, rate, unit };
  });
  return { model: model.name, title: model.title, rows, image };
}
