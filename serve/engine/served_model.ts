/** The model in the GPU's thread: makes batches of jobs with it. */

import type { BatchOrder, BatchScale, ThreadOptions } from "./messages.ts";
import type { JobSettings, Made, ModelCard } from "../jobs/job.ts";
import { usualBatch } from "../../model/batch.ts";
import { encodeBitsFile } from "../../model/bits/bits_file.ts";
import { digestOf } from "../../model/checkpoint/digest.ts";
import { findModel } from "../../model/checkpoint/find_model.ts";
import { openFolder } from "../../model/checkpoint/folder.ts";
import { readLoras } from "../../model/checkpoint/lora.ts";
import { storedTypeOf } from "../../model/checkpoint/quantised_blocks.ts";
import { parseConfig } from "../../model/config/config.ts";
import { imageSizes, scheduleForSize } from "../../model/config/schedule.ts";
import type { ModelConfig } from "../../model/config/types.ts";
import type { GeneratedImage, Result } from "../../model/generate/images.ts";
import { openInput } from "../../model/generate/images/open_input.ts";
import type { GenerateOptions, Step } from "../../model/generate/options.ts";
import { openImage } from "../../model/image/read_image.ts";
import { InfinityModel } from "../../model/infinity.ts";
import { chooseGpu, implementation } from "../../model/parts/choose_gpu.ts";

/** More images than any batch has, and plans of batches that are kept. */
const [MOST, KEPT] = [1024, 256];

/** A model that is loaded, and what it was loaded with. */
export class ServedModel {
  /** The most images of a batch, by what it depends on; planning takes a tenth of the time of a small batch. */
  readonly #most = new Map<string, number>();

  private constructor(
    private readonly model: InfinityModel,
    private readonly options: ThreadOptions,
    private readonly edits: boolean,
    private readonly digest: string,
  ) {}

  /** Loads a model. @throws As {@link InfinityModel.load}. */
  static async open(options: ThreadOptions): Promise<ServedModel> {
    const folder = await findModel(options.model);
    const files = openFolder(folder);
    const config = parseConfig(await files.json("config.json"), files.path("config.json"));
    const { type, staged, lora } = options;
    const gpu = options.gpu
      ? await implementation(options.gpu)
      : (await chooseGpu(type ?? await storedTypeOf(files, config.files.transformer) ?? "f32")).gpu;
    const model = await InfinityModel.load(folder, { config, type, staged, lora, gpu });
    try {
      const vae = await files.tensors(config.files.vae);
      const edits = [...vae.tensors.keys()].some((name) => name.startsWith("encoder."));
      vae.close();
      const adapters = (await readLoras(lora ?? [])).map(({ hash, strength }) =>
        `${hash}:${strength}`
      );
      const digest = [await digestOf(files, config), ...adapters].join("+");
      return new ServedModel(model, options, edits, digest);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  /** What it can do. */
  async card(): Promise<ModelCard> {
    const { config, type, device } = this.model;
    const { cfg, tau } = config.defaults;
    return {
      name: config.name,
      type,
      adapter: device.capabilities.adapter,
      sizes: sizesOf(config),
      defaults: { cfgScale: cfg, tau },
      edits: this.edits,
      digest: this.digest,
      batch: await this.fits({}, MOST),
    };
  }

  /** Bytes that live on the GPU. */
  get gpuBytes(): number {
    return this.model.device.memory.liveBytes;
  }

  /** The number of images with these settings, of those wanted, that make one batch. */
  async fits(
    { width, height, cfgScale, cfgUntil, init }: JobSettings,
    images: number,
  ): Promise<number> {
    const { config, type, device } = this.model;
    const { maxBytes, staged } = this.options;
    const sampling = { width, height, cfgScale, cfgUntil, type, staged, edit: init !== undefined };
    const key = JSON.stringify(sampling);
    let most = this.#most.get(key);
    if (most === undefined) {
      most = await usualBatch(config, sampling, { images: MOST, maxBytes }, device.capabilities);
      if (this.#most.size >= KEPT) this.#most.clear();
      this.#most.set(key, most);
    }
    return Math.min(most, images);
  }

  /**
   * Makes a batch.
   *
   * @param onScale Called after each scale, before the next one begins.
   * @param check Called as often; aborts `signal` if the batch is to end.
   * @throws As {@link InfinityModel.generate}.
   */
  async make(
    { jobs, settings, previews }: BatchOrder,
    onScale: (scale: BatchScale) => void,
    signal: AbortSignal,
    check: () => void,
  ): Promise<Made[]> {
    const began = performance.now();
    let last = 0;
    let took = 0; // by the latest scale
    const options: GenerateOptions = {
      ...await this.#settings(settings, signal),
      prompt: jobs.map(({ prompt }) => prompt),
      seed: jobs.map(({ seed }) => BigInt(seed)),
      signal,
      onProgress: ({ stage, scale, scales, seconds: now }) => {
        if (stage === "scale") {
          took = now - last;
          last = now;
          if (!wanted) onScale({ scale, scales, seconds: took, images: [] });
        }
        check();
      },
    };
    const wanted = previews.includes(true);
    if (!wanted) return madeOf(await this.model.generate(options), began);
    const steps = this.model.stream({ ...options, preview: true });
    let next = await steps.next();
    for (; !next.done; next = await steps.next()) {
      const { scale, scales } = next.value;
      const images = await Promise.all(
        previews.map((asked, i) => asked ? preview(next.value as Step, i) : null),
      );
      onScale({ scale, scales, seconds: took, images });
      check();
    }
    return madeOf(next.value, began);
  }

  /** Opens the images that settings hold. The signal ends their reading. */
  async #settings(
    { init, mask, ...others }: JobSettings,
    signal: AbortSignal,
  ): Promise<Omit<GenerateOptions, "prompt">> {
    const limits = { maxPixels: this.options.maxPixels, signal };
    return {
      ...others,
      ...init !== undefined &&
        { init: await openInput(Uint8Array.fromBase64(init), "image", limits) },
      ...mask !== undefined &&
        { mask: await openImage(Uint8Array.fromBase64(mask), "mask", limits) },
    };
  }

  /** Frees the GPU. */
  dispose(): void {
    this.model.dispose();
  }
}

async function preview(step: Step, index: number) {
  const { rgba, width, height } = await step.image(index);
  // a copy of its own, which is handed over to the other thread
  return { rgba: rgba.slice(), width, height };
}

function madeOf({ images, warnings }: Result, began: number): Made[] {
  const seconds = (performance.now() - began) / 1000;
  return images.map(({ rgba, width, height, parameters, bits }: GeneratedImage) => ({
    rgba: rgba.slice(),
    width,
    height,
    parameters,
    bits: encodeBitsFile(bits),
    warnings,
    seconds,
    batch: images.length,
  }));
}

/** The sizes that a model was trained on, its own first. */
function sizesOf(config: ModelConfig): ModelCard["sizes"] {
  const { width, height } = config.image;
  const others = imageSizes(config).filter((size) =>
    size.width !== width || size.height !== height
  );
  return [{ width, height }, ...others].map((size) => ({
    ...size,
    schedule: scheduleForSize(config, size.width, size.height),
  }));
}
