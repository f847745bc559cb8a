import { Device, InputError, type Tuning } from "../../engine/mod.ts";
import { WEIGHT_FORMATS, type WeightType } from "../../kernels/linear/weight_types.ts";
import type { Part } from "../checkpoint/check_tensors.ts";
import type { ModelConfig } from "../config/types.ts";
import { Parts, type PartSource } from "../parts/parts.ts";
import { provenTuning, savedTuning } from "../parts/tuning.ts";
import type { LoadOptions } from "./options.ts";

/** Number of channels from which 512-bit registers are faster on a CPU. */
const WIDE = 512;

/** Where a model's parts come from, and how one without weights generates an image. */
export interface Opening {
  /** Makes the source of the weights. */
  source(device: Device): PartSource;
  /** Generates an image with random weights on a device that computes nothing. */
  rehearse(device: Device, type: WeightType, signal: AbortSignal): Promise<void>;
}

/** The parts of a model, and the device that holds them. */
export interface Opened {
  /** The GPU: the caller's, or one of the model's own. */
  readonly device: Device;
  /** Text encoder, transformer and VAE. */
  readonly parts: Parts;
  /** Storage of the weights. */
  readonly type: WeightType;
  /** Whether there is a text encoder. */
  readonly hasText: boolean;
  /** One line for each thing that a user should know. */
  readonly warnings: string[];
}

/**
 * Opens a device unless `options` have one, and loads the parts that generation needs. Calls `ready` with them, and
 * frees everything again if any of it fails.
 */
export async function openParts<T>(
  config: ModelConfig,
  options: LoadOptions,
  opening: Opening,
  ready: (opened: Opened) => Promise<T>,
): Promise<T> {
  if (options.device) return await load(config, options.device, options, opening, ready);
  const wide = config.transformer.embed_dim >= WIDE;
  const device = await Device.open({ gpu: options.gpu, wide });
  try {
    return await load(config, device, options, opening, ready);
  } catch (error) {
    device.dispose();
    throw error;
  }
}

async function load<T>(
  config: ModelConfig,
  device: Device,
  options: LoadOptions,
  opening: Opening,
  ready: (opened: Opened) => Promise<T>,
): Promise<T> {
  await using _work = device.begin();
  const { type, staged = false, lazy } = options;
  const source = opening.source(device);
  const onProgress = (part: Part) => options.onProgress?.(config.files[part]);
  const parts = new Parts(device, config, source, staged, onProgress);
  const warnings: string[] = [];
  const stop = new AbortController();
  let prepared: Promise<void> | undefined;
  try {
    if (!options.device) {
      const warn = (line: string) => warnings.push(line);
      device.tuning = await tuningOf(device, config, options.gpu, source, warn);
    }
    if (type && WEIGHT_FORMATS[type].dtype === "f16" && !device.capabilities.f16) {
      throw new InputError(
        "no-f16",
        `Cannot store f16 on ${device.capabilities.adapter}: it lacks shader-f16`,
        { hint: "use-f32" },
      );
    }
    if (!lazy) prepared = prepare(device, source, opening, stop.signal);
    const { hasText } = await parts.open(lazy);
    await prepared;
    return await ready({ device, parts, type: source.type, hasText, warnings });
  } catch (error) {
    stop.abort();
    await prepared; // its device must outlive what it compiles
    parts.dispose();
    throw error;
  }
}

/** The tuning of a device that a model opens for itself. f32 is not for tensor cores, so nothing needs a proof. */
async function tuningOf(
  device: Device,
  { transformer, text_encoder: text }: ModelConfig,
  gpu: GPU | undefined,
  source: PartSource,
  warn: (line: string) => void,
): Promise<Tuning> {
  if (device.capabilities.subgroupMatrices.length === 0) return await savedTuning(device, warn);
  // then its type is known; what is wrong with it shows when it is loaded, if it is
  const checked = await source.check("transformer").then(() => true, () => false);
  if (!checked || source.type === "f32") return await savedTuning(device, warn);
  const width = transformer.embed_dim / transformer.num_heads;
  const widths = text ? [width, text.d_kv] : [width];
  return await provenTuning(device, gpu, widths, ["attention matrix"], warn);
}

/**
 * Compiles what a first image needs while weights are read, where that goes in parallel: a model without weights
 * generates one on a device that computes nothing. Never rejects: what is wrong shows when it is used.
 */
async function prepare(
  device: Device,
  source: PartSource,
  { rehearse }: Opening,
  signal: AbortSignal,
): Promise<void> {
  if (!device.preparesInParallel) return;
  try {
    await source.check("transformer"); // then its type is known
    using rehearsal = device.rehearsal();
    await rehearse(rehearsal, source.type, signal);
    await device.prepare(rehearsal, signal);
  } catch {
    return;
  }
}
