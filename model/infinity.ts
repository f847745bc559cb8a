import { Device, InputError, OutOfMemoryError } from "../engine/mod.ts";
import type { TensorToWrite } from "../engine/safetensors_writer.ts";
import type { WeightType } from "../kernels/linear.ts";
import { type ModelConfig, parseConfig } from "./config.ts";
import { openFolder } from "./folder.ts";
import { generate, type Hooks, type TextFeatures } from "./generate.ts";
import type { Part } from "./keys.ts";
import { imageParameters } from "./parameters.ts";
import { FolderSource, Parts, type PartSource } from "./parts.ts";
import { makePlan, type SamplingOptions } from "./plan.ts";
import { encodePng } from "./png.ts";
import { SyntheticSource, WordTokenizer } from "./synthetic.ts";
import { type FeatureRows, type RowRange, TextRows } from "./text_rows.ts";
import { Tokenizer } from "./tokenizer.ts";
import type { Transformer } from "./transformer.ts";
import { VERSION } from "./version.ts";

/**
 * The model that comes with the package: 32×32 emoji.
 *
 * @example
 * ```ts
 * import { DEFAULT_MODEL, InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load(DEFAULT_MODEL);
 * console.log(model.config.name);
 * ```
 */
export const DEFAULT_MODEL: URL = new URL("../assets/models/emoji-nano/", import.meta.url);

/** How to load a model. */
export interface LoadOptions {
  /** A WebGPU implementation; Deno's own if absent. */
  readonly gpu?: GPU;
  /** A device that is already open and stays the caller's; overrides `gpu`. */
  readonly device?: Device;
  /**
   * Storage of weights and KV cache; if absent, the blocks that the files are in, else `f32`. `f16` halves the memory and needs `shader-f16`; `q8_0` and `q4_0`
   * keep linear layers in blocks of 8.5 and 4.5 bits per weight, the rest as f16 where the adapter can.
   */
  readonly type?: WeightType;
  /**
   * Keeps only the part in memory that works: text encoder, then transformer, then VAE, each loaded anew for every
   * call. Slower, and as small as it gets; see {@link planMemory}.
   */
  readonly staged?: boolean;
  /** Called with what is being loaded. */
  readonly onProgress?: (what: string) => void;
}

/** What to draw, and how. */
export interface GenerateOptions extends SamplingOptions, Hooks {
  /** What to draw; each prompt makes `batchCount` images. */
  readonly prompt?: string | readonly string[];
  /** What to keep away from, in place of the model's learnt unconditional text. */
  readonly negativePrompt?: string;
  /** Text features in place of prompts. */
  readonly textFeatures?: FeatureRows;
  /** Text features in place of a negative prompt; one set for all images, or one for each. */
  readonly negativeFeatures?: FeatureRows;
}

/** One picture. */
export interface Image {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** RGBA bytes, row-major. */
  readonly rgba: Uint8Array<ArrayBuffer>;
  /** The prompt it was made from, if there was one. */
  readonly prompt?: string;
  /** The seed that makes it again. */
  readonly seed: bigint;
  /** All settings as text, as web UIs read them from a PNG. */
  readonly parameters: string;
  /** A PNG file that carries {@link Image.parameters}. */
  toPng(): Uint8Array;
}

/** What {@link InfinityModel.generate} made. */
export interface Result {
  /** One per prompt and batch count. */
  readonly images: Image[];
  /** Tensors of what happened; empty without `trace`. */
  readonly trace: TensorToWrite[];
  /** Wall time of the text side, of the pictures, and of all. */
  readonly seconds: { readonly text: number; readonly images: number; readonly total: number };
  /** What a user should know, a line each: a prompt that was cut, say. */
  readonly warnings: string[];
}

/** Conditional and, where there is guidance, unconditional text of a batch. */
interface Texts {
  readonly text: TextFeatures;
  readonly prompts: readonly string[] | null;
  readonly transformer: Transformer;
}

/**
 * A loaded text-to-image model: tokenizer, T5 encoder, Infinity transformer and VAE decoder on one GPU.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images } = await model.generate({ prompt: "red apple", seed: 7 });
 * const png = images[0].toPng(); // with the settings that make it again
 * console.log(images[0].width, png.length);
 * ```
 */
export class InfinityModel {
  #last: Promise<void> = Promise.resolve();

  private constructor(
    /** The GPU it lives on. */
    readonly device: Device,
    /** Hyper-parameters and defaults. */
    readonly config: ModelConfig,
    /** Storage of weights and KV cache. */
    readonly type: WeightType,
    private readonly parts: Parts,
    private readonly tokenizer: Pick<Tokenizer, "encode"> | null,
    private readonly ownsDevice: boolean,
  ) {}

  /**
   * Loads a model folder (config.json, transformer, VAE, tokenizer, text encoder); the model in the box if absent.
   *
   * @example
   * ```ts
   * import { DEFAULT_MODEL, InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load(DEFAULT_MODEL, { type: "f16" });
   * console.log(model.config.name, model.device.memory.liveBytes);
   * ```
   *
   * @throws {DeviceError} without a WebGPU adapter.
   * @throws {ConfigError | CheckpointError | SafetensorsError} one line that says which file is wrong, and how.
   */
  static async load(
    folder: string | URL = DEFAULT_MODEL,
    options: LoadOptions = {},
  ): Promise<InfinityModel> {
    const files = openFolder(folder);
    const config = parseConfig(await files.json("config.json"), files.path("config.json"));
    const tokenizer = async () =>
      Tokenizer.load(await files.json(config.files.tokenizer), {
        maxLength: config.tokenizer.max_length,
        name: files.path(config.files.tokenizer),
      });
    const source = (device: Device) => new FolderSource(files, config, device, options.type);
    return await InfinityModel.#open(config, options, source, tokenizer);
  }

  /**
   * Makes a model of any config without files: random weights, well scaled, drawn on the GPU. It draws noise, as fast
   * and with as much memory as the real model draws pictures.
   *
   * @example
   * ```ts
   * import { DEFAULT_MODEL, InfinityModel } from "@bitwise/infinity";
   *
   * using real = await InfinityModel.load(DEFAULT_MODEL);
   * using model = await InfinityModel.synthetic(real.config, { type: "q8_0" });
   * const { images } = await model.generate({ prompt: "noise" });
   * console.log(images[0].width, model.device.memory.peakBytes);
   * ```
   *
   * @throws {DeviceError} without a WebGPU adapter.
   */
  static async synthetic(
    config: ModelConfig,
    options: LoadOptions = {},
  ): Promise<InfinityModel> {
    const { text_encoder, tokenizer: { max_length } } = config;
    const tokenizer = () =>
      Promise.resolve(new WordTokenizer(text_encoder?.vocab_size ?? 4, max_length));
    const source = (device: Device) => new SyntheticSource(config, device, options.type ?? "f32");
    return await InfinityModel.#open(config, options, source, tokenizer);
  }

  static async #open(
    config: ModelConfig,
    options: LoadOptions,
    makeSource: (device: Device) => PartSource,
    makeTokenizer: () => Promise<Pick<Tokenizer, "encode">>,
  ): Promise<InfinityModel> {
    const device = options.device ?? await Device.open({ gpu: options.gpu });
    const { type, staged = false } = options;
    const source = makeSource(device);
    const onProgress = (part: Part) => options.onProgress?.(config.files[part]);
    const parts = new Parts(device, config, source, staged, onProgress);
    try {
      if (type === "f16" && !device.capabilities.f16) {
        throw new InputError(
          "no-f16",
          `Cannot store f16 on ${device.capabilities.adapter}: it lacks shader-f16, use --type f32`,
        );
      }
      const { hasText } = await parts.open();
      const tokenizer = hasText ? await makeTokenizer() : null;
      return new InfinityModel(device, config, source.type, parts, tokenizer, !options.device);
    } catch (error) {
      parts.dispose();
      if (!options.device) device.dispose();
      throw error;
    }
  }

  /**
   * Draws pictures. The same seed on the same adapter gives the same bytes, alone or in a batch. Calls wait for each
   * other.
   *
   * @example
   * ```ts
   * import { InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * const { images, seconds } = await model.generate({
   *   prompt: ["red apple", "purple cat"],
   *   cfg: [1, 2, 2, 1], // one strength per scale
   *   signal: AbortSignal.timeout(60_000),
   *   onProgress: ({ stage, scale, scales }) => console.log(stage, scale, "of", scales),
   * });
   * console.log(images.map((image) => image.parameters), seconds.total);
   * ```
   *
   * @throws {InputError} one line that names the option, its value and what is allowed.
   * @throws what `signal` was aborted with.
   */
  generate(options: GenerateOptions): Promise<Result> {
    const result = this.#last.then(() => this.#generate(options)).finally(() => {
      for (const part of ["text_encoder", "transformer", "vae"] as const) this.parts.done(part);
    }).catch((error) => {
      if (error instanceof OutOfMemoryError) this.device.recover();
      throw error;
    });
    this.#last = result.then(() => {}, () => {});
    return result;
  }

  async #generate(options: GenerateOptions): Promise<Result> {
    options.signal?.throwIfAborted();
    options.onStage?.("text");
    const began = performance.now();
    const { batchCount = 1 } = options;
    const sources = options.textFeatures?.lens.length ?? this.#prompts(options).length;
    const plan = makePlan(this.config, options, sources);
    const warnings = [...plan.warnings];
    const guided = plan.cfg.some((strength) => strength !== 1);
    const { text, prompts, transformer } = await this.#texts(options, batchCount, guided, warnings);
    const textDone = performance.now();
    try {
      const decoder = () => {
        this.parts.done("transformer");
        options.onStage?.("vae");
        return this.parts.get("vae");
      };
      const made = await generate(this.device, transformer, decoder, text, plan, options);
      const { width, height } = made;
      const images = made.pixels.map((rgba, i): Image => {
        const prompt = prompts?.[i];
        const seed = plan.seeds[i]!;
        const parameters = imageParameters({
          prompt: prompt ?? "",
          negativePrompt: options.negativePrompt,
          scales: plan.schedule.length,
          cfg: plan.cfg,
          tau: plan.tau,
          seed,
          width,
          height,
          model: this.config.name,
          schedule: plan.schedule,
          topK: plan.topK,
          topP: plan.topP,
          greedy: plan.greedy,
          cfgInsertionLayer: options.cfgInsertionLayer ?? this.config.defaults.cfg_insertion_layer,
          type: this.type,
          version: VERSION,
        });
        const toPng = () => encodePng(rgba, width, height, { parameters });
        return { width, height, rgba, prompt, seed, parameters, toPng };
      });
      const ended = performance.now();
      const seconds = {
        text: (textDone - began) / 1000,
        images: (ended - textDone) / 1000,
        total: (ended - began) / 1000,
      };
      return { images, trace: made.trace.entries, seconds, warnings };
    } finally {
      text.features.dispose();
    }
  }

  #prompts({ prompt }: GenerateOptions): readonly string[] {
    const prompts = typeof prompt === "string" ? [prompt] : prompt ?? [];
    if (prompts.length === 0 || prompts.some((p) => p.trim() === "")) {
      throw new InputError("empty-prompt", "Cannot draw an empty prompt: say what to draw");
    }
    return prompts;
  }

  #tokenize(prompt: string, warnings: string[]): number[] {
    if (!this.tokenizer) {
      throw new InputError(
        "no-text-encoder",
        `Cannot read a prompt: ${this.config.name} has no ${this.config.files.text_encoder}; ` +
          "add it, or give text features",
      );
    }
    const { ids, truncated } = this.tokenizer.encode(prompt);
    if (truncated) warnings.push(`Prompt cut to its first ${ids.length} tokens`);
    return ids;
  }

  async #encode(ids: readonly (readonly number[])[]): Promise<TextFeatures> {
    const encoder = await this.parts.get("text_encoder");
    return this.device.allOrNothing(() => encoder.encode(ids));
  }

  /** Features of every image: all conditional ones, then all unconditional ones if `guided`. */
  async #texts(
    options: GenerateOptions,
    batchCount: number,
    guided: boolean,
    warnings: string[],
  ): Promise<Texts> {
    const prompts = options.textFeatures ? null : this.#prompts(options);
    const ids = prompts?.map((prompt) => this.#tokenize(prompt, warnings)) ?? null;
    const negativeIds = guided && options.negativePrompt !== undefined && !options.negativeFeatures
      ? [this.#tokenize(options.negativePrompt, warnings)]
      : null;
    // one pass through the encoder for both, then one copy of each row per image
    const encoded = ids || negativeIds
      ? await this.#encode([...ids ?? [], ...negativeIds ?? []])
      : null;
    this.parts.done("text_encoder");
    options.onStage?.("transformer");
    const rows = new TextRows(this.device, this.config.transformer.text_channels);
    try {
      const split = ids?.length ?? 0;
      const cond = options.textFeatures
        ? rows.upload(options.textFeatures)
        : rows.range(encoded!, 0, split);
      const transformer = await this.parts.get("transformer");
      const each = cond.flatMap((item) => Array<RowRange>(batchCount).fill(item));
      const drawn = repeat(prompts, batchCount);
      if (!guided) return { text: rows.gather(each), prompts: drawn, transformer };
      let uncond: RowRange[];
      if (options.negativeFeatures) uncond = rows.upload(options.negativeFeatures);
      else if (negativeIds) uncond = rows.range(encoded!, split, negativeIds.length);
      else uncond = rows.own(transformer.unconditional(each.map((r) => r.count)), each);
      if (uncond.length === 1) uncond = each.map(() => uncond[0]!);
      if (uncond.length !== each.length) {
        throw new InputError(
          "wrong-length",
          `Cannot guide ${each.length} images with ${uncond.length} negative texts: give one for ` +
            "all, or one for each",
        );
      }
      return { text: rows.gather([...each, ...uncond]), prompts: drawn, transformer };
    } finally {
      encoded?.features.dispose();
      rows.dispose();
    }
  }

  /** Frees the model's memory, and the device if the model opened it. */
  dispose(): void {
    this.parts.dispose();
    if (this.ownsDevice) this.device.dispose();
    else this.device.trim();
  }

  /** {@link InfinityModel.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function repeat(prompts: readonly string[] | null, count: number): readonly string[] | null {
  return prompts && prompts.flatMap((prompt) => Array<string>(count).fill(prompt));
}
