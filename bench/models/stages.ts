import { heat } from "../measuring/heat.ts";
import { median } from "../measuring/measure.ts";
import { Spans } from "../measuring/spans.ts";
import type { Device, KernelTime } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { parseConfig } from "../../model/config/config.ts";
import { findPreset } from "../../model/config/presets.ts";
import type { GenerateOptions } from "../../model/generate/options.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";

type Implementation = Device["capabilities"]["implementation"];

/** Milliseconds that something should take on an NVIDIA H200, by implementation. */
type Target = Partial<Record<Implementation, number>>;

/** A model of which images are timed from end to end. */
interface Subject {
  readonly model: string;
  /** Side of the image in pixels. */
  readonly side: number;
  /** Images of the largest batch; 1 for none. */
  readonly batch: number;
  /** By figure. */
  readonly targets: Readonly<Record<string, Target>>;
}

const SUBJECTS: readonly Subject[] = [
  { model: "emoji-nano", side: 32, batch: 4, targets: { gpu: { dawn: 15, wgpu: 15 } } },
  { model: "125m", side: 256, batch: 4, targets: { image: { dawn: 60 } } },
  {
    model: "2b",
    side: 1024,
    batch: 4,
    targets: {
      image: { dawn: 750, wgpu: 3500 },
      text: { dawn: 40 },
      vae: { dawn: 80, wgpu: 350 },
    },
  },
  { model: "8b", side: 1024, batch: 1, targets: { image: { dawn: 2500 } } },
];

/** Names of the models. */
export const STAGED: readonly string[] = SUBJECTS.map(({ model }) => model);

/** Most times a batch of 4 may take as long as one image, and the first image as long as a warm one. */
const [BATCH_TARGET, FIRST_TARGET] = [3.2, 2];
/** Largest share of an image at 1024 × 1024 in which the GPU waits. */
const IDLE_TARGET = 0.05;
/** Most images that are timed; fewer if they take long, see {@link PATIENCE}. */
const IMAGES = 5;
/** Milliseconds that they may take together, but for two. A batch is left out if it should take ten times as long. */
const PATIENCE = 4000;
/** 63 words and the end of the text: a synthetic model's tokenizer makes a token of each. */
const PROMPT = Array.from({ length: 63 }, (_, i) => `word${i}`).join(" ");

/** Kernels between two scales. */
const SAMPLING = ["sample_bits", "force_bits", "accumulate_codes", "resample"];

/** One number of a model. */
export interface StageFigure {
  /** As in the times of other programs (docs/performance.md), where they have it. */
  readonly name: string;
  readonly value: number;
  readonly unit: "ms" | "%" | "x" | "";
  /** What it should be at most on an NVIDIA H200. */
  readonly target?: number;
  readonly note: string;
}

async function open({ model }: Subject, device: Device, type: WeightType): Promise<InfinityModel> {
  if (model === "emoji-nano") return await InfinityModel.load("emoji-nano", { device, type });
  return await InfinityModel.synthetic(parseConfig(findPreset(model).config, model), {
    device,
    type,
  });
}

/** Makes a figure of a model; with a target only on a GPU. */
type Make = (
  what: string,
  value: number,
  unit: StageFigure["unit"],
  note: string,
  target?: number,
) => StageFigure;

/**
 * Times images of one model: first and warm, by stage, by scale, in a batch, and how much of the time the GPU waits.
 * The device becomes profiled in the end.
 */
export async function* benchStages(
  name: string,
  openDevice: () => Promise<Device>,
): AsyncGenerator<StageFigure> {
  const subject = SUBJECTS.find(({ model }) => model === name)!;
  const { model: label, side, batch, targets } = subject;
  using device = await openDevice();
  const { implementation, class: adapter, f16 } = device.capabilities;
  const type = adapter === "gpu" && f16 ? "f16" : "f32";
  const figure: Make = (what, value, unit, note, target) => {
    const name = `${label} ${side} ${what}`;
    return { name, value, unit, note, ...target && adapter === "gpu" && { target } };
  };
  const target = (key: string) => targets[key]?.[implementation];
  const spans = Spans.of(device);
  await heat(device);

  const began = performance.now();
  using model = await open(subject, device, type);
  await device.finish();
  const small = label === "emoji-nano";
  const origin = small ? "" : ", synthetic weights made on the GPU";
  yield figure("load", performance.now() - began, "ms", `weights in ${type}, packed${origin}`);
  const size = small ? {} : { width: side, height: side };
  const options: GenerateOptions = { prompt: small ? "red apple" : PROMPT, seed: 7, ...size };
  const wall = async (batchCount: number) => {
    await heat(device);
    const start = performance.now();
    await model.generate({ ...options, batchCount });
    return performance.now() - start;
  };

  const first = await wall(1);
  const { dispatches, submits } = device.counters;
  const warm = [await wall(1)];
  yield figure("dispatches", device.counters.dispatches - dispatches, "", "one image");
  yield figure("submits", device.counters.submits - submits, "", "one image");
  const images = Math.max(2, Math.min(IMAGES, Math.ceil(PATIENCE / warm[0]!)));
  while (warm.length < images) warm.push(await wall(1));
  const image = median(warm);
  const least = Math.min(...warm).toFixed(0);
  yield figure("image", image, "ms", `median of ${images}, min ${least}`, target("image"));
  yield figure(
    "first image",
    first / image,
    "x",
    "of a warm one; compiles pipelines",
    FIRST_TARGET,
  );
  const span = spans ? yield* stages(model, options, images, spans, figure, target) : 0;
  if (batch > 1 && batch * image < 10 * PATIENCE) {
    const several = Math.min(await wall(batch), await wall(batch));
    yield figure(`batch of ${batch}`, several / image, "x", "of one image", BATCH_TARGET);
  }
  if (spans) yield* busy(model, options, span, figure);
}

/** Times stages on the GPU, gaps included; returns the time of a whole image. */
async function* stages(
  model: InfinityModel,
  options: GenerateOptions,
  images: number,
  spans: Spans,
  figure: Make,
  target: (key: string) => number | undefined,
): AsyncGenerator<StageFigure, number> {
  const { device } = model;
  const total: number[] = [];
  const stages = new Map<string, number[]>();
  for (let i = 0; i < images; i++) {
    await heat(device);
    const onStage = (stage: string) => (device.flush(), spans.begin(stage));
    await model.generate({ ...options, onStage });
    const { sections, all } = await spans.report();
    total.push(all.milliseconds);
    for (const { section, milliseconds } of sections) {
      stages.set(section, [...stages.get(section) ?? [], milliseconds]);
    }
  }
  const span = median(total);
  yield figure("gpu", span, "ms", "from the first pass to the end of the last one", target("gpu"));
  for (const [stage, times] of stages) {
    yield figure(stage, median(times), "ms", "on the GPU, gaps included", target(stage));
  }
  return span;
}

/** Sums the times of all dispatches: by scale, of sampling, and against the `span` of an image that is not profiled. */
async function* busy(
  model: InfinityModel,
  options: GenerateOptions,
  span: number,
  figure: Make,
): AsyncGenerator<StageFigure> {
  const { device } = model;
  const profiler = device.profile()!;
  const profile = async (hooks: Partial<GenerateOptions>) => {
    await heat(device);
    await profiler.report();
    await model.generate({ ...options, ...hooks });
    return await profiler.report();
  };
  const sum = (rows: readonly KernelTime[]) =>
    rows.reduce((total, { milliseconds }) => total + milliseconds, 0);
  const all = sum(await profile({}));
  const idle = 100 * Math.max(0, 1 - all / span);
  yield figure("gpu busy", all, "ms", "sum of dispatches, each a pass of its own");
  yield figure("gpu idle", idle, "%", "1 - gpu busy / gpu", 100 * IDLE_TARGET);
  const times = await profile({
    onStage: (stage) => profiler.section = stage === "transformer" ? "scale 1" : stage,
    onProgress({ stage, scale, scales }) {
      if (stage === "scale" && scale + 1 < scales) profiler.section = `scale ${scale + 2}`;
    },
  });
  const sampling = times.filter(({ name }) => SAMPLING.includes(name));
  yield figure("sampling", sum(sampling), "ms", "sum of its dispatches");
  const scales = new Set(times.map(({ section }) => section).filter((s) => s.startsWith("scale")));
  for (let i = 1; i <= scales.size; i++) {
    const own = times.filter(({ section }) => section === `scale ${i}`);
    yield figure(`scale ${i}`, sum(own), "ms", "sum of its dispatches");
  }
}
