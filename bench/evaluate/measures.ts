/** What is measured of models of any images. */

import type { Device } from "../../engine/mod.ts";
import { psnr } from "../../model/image/metrics.ts";
import type { Image } from "../../model/image/png.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import { parseTrainFile, resolveTrainConfig } from "../../model/training/config/train_config.ts";
import { imageCount, type Images } from "../../model/training/data/base/measures.ts";
import type { DataSource } from "../../model/training/data/base/source.ts";
import type { TrainConfig } from "../../model/training/config/types.ts";
import { mean } from "../measuring/measure.ts";
import { teacherForced } from "../measuring/teacher_forcing.ts";

/** Images that are made at a time. */
const BATCH = 32;
/** Pixels that a software adapter makes at a time. */
const PIXELS = 8 * 128 * 128;

/** A model that is measured. */
export interface Subject {
  readonly model: InfinityModel;
  /** Path or URL of its folder. */
  readonly folder: string;
  /** Images of each measurement, at most. */
  readonly images: number;
  /** Guidance scale, or one for each scale; the model's default if absent. */
  readonly cfgScale?: number | readonly number[] | undefined;
}

/** One thing that was measured. */
export interface Figure {
  /** What JSON calls it. */
  readonly name: string;
  /** What people call it. */
  readonly what: string;
  /** A number, one for each scale, or some with names. Shares are from 0 to 1. */
  readonly value: number | readonly number[] | Readonly<Record<string, number>>;
  readonly unit: "dB" | "%";
}

/** A figure in a line. */
export function figureLine({ what, value, unit }: Figure): string {
  const values: number[] = typeof value === "number" ? [value] : Object.values(value);
  const digits = values.map((x) => unit === "dB" ? x.toFixed(2) : (100 * x).toFixed(1));
  return `${what.padEnd(51)} ${digits.join(" / ")} ${unit}`;
}

/** How many images are made at a time: fewer large ones on a software adapter. */
function batchOf({ device: { capabilities }, config: { image } }: InfinityModel): number {
  if (capabilities.class === "gpu") return BATCH;
  return Math.max(1, Math.min(BATCH, Math.floor(PIXELS / image.width / image.height)));
}

/** Generates an image of each prompt; image i has seed i. */
export async function generateAll(
  { model, cfgScale }: Pick<Subject, "model" | "cfgScale">,
  prompts: readonly string[],
): Promise<Image[]> {
  const batch = batchOf(model);
  const made: Image[] = [];
  for (let at = 0; at < prompts.length; at += batch) {
    const prompt = prompts.slice(at, at + batch);
    const guided = cfgScale === undefined ? {} : { cfgScale };
    const { images } = await model.generate({ prompt, seed: at, ...guided });
    made.push(...images);
  }
  return made;
}

/** Mean PSNR of images and what comes of them if they are encoded and decoded, in dB. */
export async function reconstruction(
  model: InfinityModel,
  images: readonly Image[],
): Promise<number> {
  const batch = batchOf(model);
  const found: number[] = [];
  for (let at = 0; at < images.length; at += batch) {
    const some = images.slice(at, at + batch);
    const bits = [];
    for (const image of some) bits.push(await model.encode(image));
    const decoded = await model.decode(bits);
    found.push(...decoded.map((image, i) => psnr(image, some[i]!)));
  }
  return mean(found);
}

/** Images and captions in memory, in their order; the last batch may be smaller. */
export function memorySource(
  device: Device,
  images: Images,
  captions: readonly string[],
): DataSource {
  const { values, size } = images;
  const one = 3 * size * size;
  return {
    sizes: [{ width: size, height: size }],
    count: captions.length,
    batch(step, count) {
      const [first, end] = [step * count, Math.min((step + 1) * count, captions.length)];
      const some = values.slice(first * one, end * one);
      const tensor = device.from("f32", [end - first, size, size, 3], some, "images");
      return Promise.resolve({ images: tensor, captions: captions.slice(first, end) });
    },
    dispose() {},
  };
}

/** Settings by which a model can be measured as training would. */
export async function measuringConfig(folder: string): Promise<TrainConfig> {
  const data = { kind: "folder", path: "." };
  const file = parseTrainFile({ init: folder, data, transformer: {} }, folder);
  return await resolveTrainConfig(file, ".", folder);
}

/** Share of bits that are right under teacher forcing, by scale. */
export async function bitAccuracy(
  { model, folder }: Subject,
  images: Images,
  captions: readonly string[],
): Promise<number[]> {
  const { device } = model;
  const batch = batchOf(model);
  const found = await teacherForced(
    device,
    await measuringConfig(folder),
    folder,
    memorySource(device, images, captions),
    { batch, batches: Math.ceil(captions.length / batch) },
  );
  const scales = found[0]?.bitsRight ?? [];
  const sum = (s: number) =>
    found.reduce((sum, { images, bitsRight }) => sum + images * bitsRight[s]!, 0);
  return scales.map((_, s) => sum(s) / imageCount(images));
}
