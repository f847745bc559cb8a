import { chooseGpu, type GpuChoice, implementation } from "../../model/parts/choose_gpu.ts";
import { UsageError } from "../flags/flags.ts";
import { detail, type Io } from "./io.ts";
import { inSteps, ProgressLine } from "./progress.ts";
import { table } from "./table.ts";
import { debugLevel, formatBytes, orAbort } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { ModelProgress } from "../../model/checkpoint/download_model.ts";
import type { LoraOption } from "../../model/checkpoint/lora.ts";
import type { ModelConfig } from "../../model/config/types.ts";
import type { InfinityModel } from "../../model/infinity.ts";

/** The flags that choose a model. */
export interface ModelGiven {
  /** A folder, a URL, or a name; the default model if absent. */
  readonly model?: string;
  /** A preset, to be filled with random weights. */
  readonly synthetic?: string;
}

/** A model that is known but not loaded. */
export interface ModelChoice {
  /** Its hyper-parameters and defaults, read once. */
  readonly config: ModelConfig;
  /** Its folder; absent for a preset. */
  readonly folder?: string | URL;
  /** The type that its file stores matrices in, if they are quantised. */
  readonly storedType?: WeightType;
}

/** How to load a model. */
export interface LoadGiven {
  readonly type?: WeightType;
  readonly gpu?: "wgpu" | "dawn";
  readonly staged?: boolean;
  readonly lazy?: boolean;
  readonly lora?: readonly LoraOption[];
}

/**
 * Finds a model and reads its config. Downloads the model in the box if the code came without it, and reports how far
 * the download is.
 *
 * @throws {UsageError} Both a model and a preset were given.
 * @throws {InputError} `unknown-preset`: the message lists the presets.
 */
export async function chooseModel({ model, synthetic }: ModelGiven, io: Io): Promise<ModelChoice> {
  if (synthetic === undefined) return await chooseFolder(model, io);
  if (model === undefined) return { config: await presetConfig(synthetic) };
  throw new UsageError("Cannot use --model and --synthetic together: give one of them");
}

/** Finds a model folder; that of the default model if absent. */
async function chooseFolder(model: string | undefined, io: Io): Promise<ModelChoice> {
  const { openFolder } = await import("../../model/checkpoint/folder.ts");
  const { parseConfig } = await import("../../model/config/config.ts");
  const { storedTypeOf } = await import("../../model/checkpoint/quantised_blocks.ts");
  const folder = await findWithProgress(model, io);
  const files = openFolder(folder);
  const config = parseConfig(await files.json("config.json"), files.path("config.json"));
  return { config, folder, storedType: await storedTypeOf(files, config.files.transformer) };
}

/** Finds a model's folder, and shows a download: on a terminal each percent, elsewhere each tenth. */
async function findWithProgress(model: string | undefined, io: Io): Promise<string | URL> {
  const { findModel } = await import("../../model/checkpoint/find_model.ts");
  using progress = new ProgressLine(io);
  let now: ModelProgress | undefined;
  const show = inSteps(io, (part) => {
    const { model: name, done, total } = now!;
    progress.show(`Downloading ${name}: ${formatBytes(done)} of ${formatBytes(total)}`, part);
  });
  const onProgress = (report: ModelProgress) => {
    now = report;
    show(report.done / report.total);
  };
  return await findModel(model, { signal: io.signal, onProgress });
}

/** Returns a preset's config. @throws {InputError} `unknown-preset`: the message lists the presets. */
async function presetConfig(name: string): Promise<ModelConfig> {
  const { findPreset } = await import("../../model/config/presets.ts");
  const { parseConfig } = await import("../../model/config/config.ts");
  const preset = findPreset(name);
  return parseConfig(preset.config, preset.name);
}

/** Whether there is a preset of that name. */
export async function isPreset(name: string): Promise<boolean> {
  return await presetConfig(name).then(() => true, () => false);
}

/** Returns the implementation of WebGPU that was given, or the one for weights of `type`. */
export async function chooseFor(
  name: LoadGiven["gpu"],
  type: WeightType = "f32",
): Promise<GpuChoice> {
  return name
    ? { name, gpu: await implementation(name), reason: "as given" }
    : await chooseGpu(type);
}

/** Loads a model, and reports what is being loaded. */
export async function loadModel(
  { config, folder, storedType }: ModelChoice,
  { type, gpu: name, staged, lazy, lora }: LoadGiven,
  io: Io,
  progress: ProgressLine,
): Promise<InfinityModel> {
  const { InfinityModel } = await import("../../model/infinity.ts");
  const chosen = await chooseFor(name, type ?? storedType);
  if (debugLevel() >= 3) io.err(`gpu: ${chosen.name} (${chosen.reason})\n`);
  const options = {
    gpu: chosen.gpu,
    type,
    staged,
    lazy,
    lora,
    onProgress: (what: string) => progress.show(`Loading ${what}`),
  };
  const model = await orAbort(
    io.signal,
    folder === undefined
      ? InfinityModel.synthetic(config, options)
      : InfinityModel.load(folder, { ...options, config }),
  );
  if (io.style.verbose) progress[Symbol.dispose]();
  const { capabilities, memory } = model.device;
  detail(io, `Model ${config.name} as ${model.type}${staged ? ", in stages" : ""}`);
  detail(
    io,
    `GPU ${capabilities.adapter} (${chosen.name}), ${formatBytes(memory.liveBytes)} of weights`,
  );
  return model;
}

/** Loads a model for a command that works on images: each part when it is first used. */
export async function openModel(
  given: ModelGiven & LoadGiven,
  io: Io,
  progress: ProgressLine,
): Promise<InfinityModel> {
  return await loadModel(await chooseModel(given, io), { ...given, lazy: true }, io, progress);
}

/** Ends the use of a model; with `BITWISE_DEBUG=2` or more, prints the time of each kernel first. */
export async function closeModel(model: InfinityModel, io: Io): Promise<void> {
  if (debugLevel() >= 2) { for (const line of await kernelTimes(model)) io.err(`${line}\n`); }
  model.dispose();
}

/** A table of the time that each kernel took on the GPU, longest first. */
async function kernelTimes({ device }: InfinityModel): Promise<string[]> {
  device.flush();
  const times = await device.profiler?.report();
  if (!times) return [`No times of kernels: ${device.capabilities.adapter} has no timestamps`];
  const kernels = new Map<string, { count: number; milliseconds: number }>();
  for (const { name, count, milliseconds } of times) {
    const sum = kernels.get(name) ?? { count: 0, milliseconds: 0 };
    kernels.set(name, {
      count: sum.count + count,
      milliseconds: sum.milliseconds + milliseconds,
    });
  }
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const rows = [...kernels].sort(([, a], [, b]) => b.milliseconds - a.milliseconds)
    .map(([name, { count, milliseconds }]) => [
      `${count}`,
      milliseconds.toFixed(2),
      (100 * milliseconds / total).toFixed(1),
      name,
    ]);
  return table(["calls", "ms", "%", "kernel"], [...rows, [``, total.toFixed(2), "", "all"]]);
}
