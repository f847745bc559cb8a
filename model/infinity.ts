import { type Device, InputError } from "../engine/mod.ts";
import type { WeightType } from "../kernels/linear/weight_types.ts";
import type { ImageBits } from "./bits/image_bits.ts";
import type { ModelProgress } from "./checkpoint/download_model.ts";
import { findModel } from "./checkpoint/find_model.ts";
import { openFolder } from "./checkpoint/folder.ts";
import {
  checkLoraBase,
  checkLoraShapes,
  type Lora,
  lowRanksOf,
  readLoras,
} from "./checkpoint/lora.ts";
import { parseConfig } from "./config/config.ts";
import type { ModelConfig } from "./config/types.ts";
import {
  checkDecodeOptions,
  checkGenerateOptions,
  checkLoadOptions,
} from "./generate/check_options.ts";
import type { DecodedImage } from "./generate/images/decoded_image.ts";
import { outcome, type Steps } from "./generate/generate.ts";
import type { EncodeOptions, ImageInput } from "./generate/images/image_input.ts";
import type { Result } from "./generate/images.ts";
import type { GenerateOptions, LoadOptions, Step } from "./generate/options.ts";
import { type Opened, openParts } from "./generate/opening.ts";
import { optionsOf, refuseTwice, type Request } from "./generate/request.ts";
import { disposedModel, FolderSource, type Parts, type PartSource } from "./parts/parts.ts";
import { blankPrompt } from "./generate/text/blank_prompt.ts";
import { type GenerationContext, runGeneration } from "./generate/run_generation.ts";
import { SyntheticSource, WordTokenizer } from "./parts/synthetic.ts";
import { TextSide } from "./generate/text/text_side.ts";
import { Turns } from "./generate/turns.ts";
import { VisualTokenizer } from "./generate/visual_tokenizer.ts";
import { Tokenizer } from "./text/tokenizer.ts";

export { DEFAULT_MODEL } from "./checkpoint/find_model.ts";

/** Reports the download of a model in the box, once per percent. */
function downloading({ onProgress }: LoadOptions): (progress: ModelProgress) => void {
  let last = -1;
  return ({ model, done, total }) => {
    const percent = Math.floor(100 * done / total);
    if (percent !== last) onProgress?.(`${model}, ${percent} % downloaded`);
    last = percent;
  };
}

/**
 * A loaded text-to-image model: tokenizer, T5 encoder, Infinity transformer and VAE on one GPU.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 *
 * using model = await InfinityModel.load();
 * const { images } = await model.generate("red apple", { seed: 7 });
 * const png = images[0].toPng(); // holds the settings that reproduce it
 * console.log(images[0].width, png.length);
 * ```
 */
export class InfinityModel {
  /** The device that holds its tensors. */
  readonly device: Device;
  /** Storage of weights and KV cache. */
  readonly type: WeightType;
  #turns = new Turns();
  #parts: Parts;
  #visual: VisualTokenizer;
  #context: GenerationContext;

  private constructor(
    /** Hyper-parameters and defaults. */
    readonly config: ModelConfig,
    { device, parts, type, warnings }: Opened,
    tokenizer: Pick<Tokenizer, "encode"> | null,
    private readonly ownsDevice: boolean,
    loras: readonly Lora[],
  ) {
    this.device = device;
    this.type = type;
    this.#parts = parts;
    this.#visual = new VisualTokenizer(device, config, parts);
    this.#context = {
      device,
      config,
      type,
      parts,
      warnings,
      loras,
      text: new TextSide(device, config, parts, tokenizer),
      encode: (image, options) => this.encode(image, options),
      decode: (bits) => this.decode(bits),
    };
  }

  /**
   * Loads a model folder (config.json, transformer, VAE, tokenizer, text encoder) by its path or URL, or a model by its
   * name: one in the box, or a published one that was pulled. Without an argument, loads {@link DEFAULT_MODEL}.
   *
   * @example
   * ```ts
   * import { DEFAULT_MODEL, InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load(DEFAULT_MODEL, { type: "f16" });
   * console.log(model.config.name, model.device.memory.liveBytes);
   * ```
   *
   * @throws {DeviceError} There is no WebGPU adapter.
   * @throws {FileError} `model-not-found` or `model-not-pulled`.
   * @throws {ConfigError | CheckpointError | SafetensorsError} A file is wrong; the message says which, and why.
   */
  static async load(
    nameOrPath?: string | URL,
    options: LoadOptions = {},
  ): Promise<InfinityModel> {
    checkLoadOptions(options);
    const files = openFolder(await findModel(nameOrPath, { onProgress: downloading(options) }));
    const config = options.config
      ? parseConfig(options.config, "the config")
      : parseConfig(await files.json("config.json"), files.path("config.json"));
    const tokenizer = async () =>
      Tokenizer.load(await files.json(config.files.tokenizer), {
        maxLength: config.tokenizer.max_length,
        name: files.path(config.files.tokenizer),
      });
    const loras = await readLoras(options.lora ?? []);
    checkLoraShapes(loras, config);
    if (loras.length > 0) {
      const file = await files.tensors(config.files.transformer);
      await checkLoraBase(loras, file).finally(() => file.close());
    }
    const added = lowRanksOf(loras);
    const source = (device: Device) => new FolderSource(files, config, device, options.type, added);
    return await InfinityModel.#open(config, options, source, tokenizer, loras);
  }

  /**
   * Makes a model from a config alone, with random weights of suitable scale. Its images are noise; its speed and
   * memory are those of a real model.
   *
   * @example
   * ```ts
   * import { InfinityModel } from "@bitwise/infinity";
   *
   * using real = await InfinityModel.load();
   * using model = await InfinityModel.synthetic(real.config, { type: "q8_0" });
   * const { images } = await model.generate("noise");
   * console.log(images[0].width, model.device.memory.peakBytes);
   * ```
   *
   * @throws {DeviceError} There is no WebGPU adapter.
   */
  static async synthetic(
    config: ModelConfig,
    options: Omit<LoadOptions, "config" | "lora"> = {},
  ): Promise<InfinityModel> {
    checkLoadOptions(options);
    if ((options as LoadOptions).lora?.length) {
      throw new InputError("bad-value", "Cannot add LoRA to random weights: load a model");
    }
    config = parseConfig(config, "the config");
    const { text_encoder, tokenizer: { max_length } } = config;
    const tokenizer = () =>
      Promise.resolve(new WordTokenizer(text_encoder?.vocab_size ?? 4, max_length));
    const source = (device: Device) => new SyntheticSource(config, device, options.type ?? "f32");
    return await InfinityModel.#open(config, options, source, tokenizer);
  }

  static #open(
    config: ModelConfig,
    options: LoadOptions,
    source: (device: Device) => PartSource,
    makeTokenizer: () => Promise<Pick<Tokenizer, "encode">>,
    loras: readonly Lora[] = [],
  ): Promise<InfinityModel> {
    const rehearse = async (device: Device, type: WeightType, signal: AbortSignal) => {
      using model = await InfinityModel.synthetic(config, { device, type });
      await model.generate({ ...blankPrompt(config), signal });
    };
    return openParts(config, options, { source, rehearse }, async (opened) => {
      const tokenizer = opened.hasText ? await makeTokenizer() : null;
      return new InfinityModel(config, opened, tokenizer, !options.device, loras);
    });
  }

  /**
   * Generates images. The same seed on the same adapter gives the same bytes, alone or in a batch. Calls wait for each
   * other.
   *
   * @example
   * ```ts
   * import { InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * const { images: [apple] } = await model.generate("red apple", { seed: 7 });
   * console.log(apple!.seed, apple!.parameters);
   *
   * const { images, seconds } = await model.generate({
   *   prompt: ["red apple", "purple cat"],
   *   cfgScale: 3, // or a list with the guidance of each scale
   *   signal: AbortSignal.timeout(60_000),
   *   onProgress: ({ stage, scale, scales }) => console.log(stage, scale + 1, "of", scales),
   * });
   * console.log(images.map((image) => image.prompt), seconds.total);
   * ```
   *
   * @throws {InputError} An option is wrong; the message names it, its value and what is allowed.
   * @throws The reason of `signal`, once it is aborted.
   */
  generate(
    prompt: string | readonly string[],
    options?: Omit<GenerateOptions, "prompt">,
  ): Promise<Result>;
  /** Generates images from options alone. */
  generate(options: GenerateOptions): Promise<Result>;
  generate(first: Request, rest?: GenerateOptions): Promise<Result> {
    return outcome(this.#inTurn(first, rest, () => "none"));
  }

  /**
   * Generates images scale by scale. Each step yields the bits so far, which costs one read-back; their image is
   * decoded only on request. Leaving the loop ends the work, and so does an abort of `signal`, even if nobody asks for
   * the next step; until then, other calls of `generate`, `edit` and `stream` wait. The last `next()`, with `done: true`, has the {@link Result} that `generate` would return.
   *
   * @example
   * ```ts
   * import { InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * for await (const step of model.stream("red apple", { seed: 7 })) {
   *   const { rgba } = await step.image();
   *   console.log(step.scale + 1, "of", step.scales, step.bits[0]!.schedule.at(-1), rgba.length);
   * }
   * ```
   *
   * @throws {InputError} As {@link InfinityModel.generate}.
   * @throws The reason of `signal`, once it is aborted.
   */
  stream(
    prompt: string | readonly string[],
    options?: Omit<GenerateOptions, "prompt">,
  ): AsyncGenerator<Step, Result, void>;
  /** Generates images scale by scale, from options alone. */
  stream(options: GenerateOptions): AsyncGenerator<Step, Result, void>;
  stream(first: Request, rest?: GenerateOptions): AsyncGenerator<Step, Result, void> {
    return this.#inTurn(first, rest, ({ preview }) => preview ? "images" : "bits");
  }

  /**
   * Edits an image: generates its last scales (`strength`, `keepScales`) or the parts under a `mask` again, from a
   * prompt for the whole image.
   *
   * @example
   * ```ts
   * import { InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * const { images: [apple] } = await model.generate("red apple", { seed: 7 });
   * const { images: [green] } = await model.edit(apple!, { prompt: "green apple", strength: 0.75 });
   *
   * const { width, height } = apple!;
   * const right = new Uint8Array(4 * width * height).map((_, i) => i / 4 % width < width / 2 ? 0 : 255);
   * const mask = { width, height, rgba: right };
   * const { images: [half] } = await model.edit(apple!, { prompt: "pizza", mask });
   * console.log(green!.parameters, half!.bits.scales.length);
   * ```
   *
   * @param init The image, or its bits.
   * @throws {InputError} As {@link InfinityModel.generate}; or the mask has another size than the image, or the bits
   * belong to another model.
   * @throws {FileError} The image or the mask cannot be decoded.
   */
  async edit(
    init: ImageInput | ImageBits,
    options: Omit<GenerateOptions, "init">,
  ): Promise<Result> {
    checkGenerateOptions(options);
    if ((options as GenerateOptions).init !== undefined) refuseTwice("values of init");
    return await this.generate({ ...options, init });
  }

  /**
   * Encodes an image as bits. Resizes the image to cover the size of one of the model's schedules, then crops it to
   * that size around its centre. Transparent parts become white.
   *
   * @example
   * ```ts
   * import { encodeBitsFile, encodePng, InfinityModel } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * const file = encodePng(new Uint8Array(64 * 48 * 4).fill(200), 64, 48); // or a JPEG, or a WebP
   * const bits = await model.encode(file);
   * const small = encodeBitsFile(bits);
   * console.log(bits.schedule, small.length);
   * ```
   *
   * @throws {FileError} The bytes cannot be decoded as an image.
   * @throws {InputError} An option is wrong; the message names it, its value and what is allowed.
   * @throws {CheckpointError} `no-encoder`: the VAE of the model has no encoder.
   */
  encode(image: ImageInput, options?: EncodeOptions): Promise<ImageBits> {
    return this.#using(() => this.#visual.encode(image, options));
  }

  /**
   * Decodes bits to an image: those of all scales, or of the first ones alone.
   *
   * @example
   * ```ts
   * import { InfinityModel, takeScales } from "@bitwise/infinity";
   *
   * using model = await InfinityModel.load();
   * const { images: [apple] } = await model.generate("red apple");
   * const same = await model.decode(apple!.bits); // apple, byte for byte
   * const coarse = await model.decode(takeScales(apple!.bits, 2));
   * await Deno.writeFile(await Deno.makeTempFile({ suffix: ".png" }), coarse.toPng());
   * console.log(same.width);
   * ```
   *
   * @throws {InputError} The bits belong to another model, or do not match their schedule.
   */
  decode(bits: ImageBits, options?: { readonly signal?: AbortSignal }): Promise<DecodedImage>;
  /** Decodes several images: in one batch if all have the same scales, otherwise one by one. */
  decode(
    bits: readonly ImageBits[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<DecodedImage[]>;
  async decode(
    bits: ImageBits | readonly ImageBits[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<DecodedImage | DecodedImage[]> {
    checkDecodeOptions(options);
    const { signal } = options;
    const images = Array.isArray(bits) ? bits as readonly ImageBits[] : [bits as ImageBits];
    const made = await this.#using(() => this.#visual.decode(images, signal));
    return Array.isArray(bits) ? made : made[0]!;
  }

  /** Works on the device; rejects if the model was disposed meanwhile. */
  async #using<T>(work: () => Promise<T>): Promise<T> {
    this.#parts.refuseDisposed();
    await using _work = this.device.begin();
    try {
      return await work();
    } finally {
      this.#parts.refuseDisposed();
    }
  }

  /** One generation at a time. */
  async *#inTurn(
    first: Request,
    rest: GenerateOptions | undefined,
    steps: (options: GenerateOptions) => Steps,
  ): AsyncGenerator<Step, Result, void> {
    const options = optionsOf(first, rest);
    checkGenerateOptions(options);
    return yield* this.#turns.run(() => this.#run(options, steps(options)), options.signal);
  }

  async *#run(options: GenerateOptions, steps: Steps): AsyncGenerator<Step, Result, void> {
    await using _work = this.device.begin();
    return yield* runGeneration(this.#context, options, steps);
  }

  /**
   * Frees the model's memory, and the device if the model opened it. Calls that work or wait reject with
   * `disposed-model`.
   */
  dispose(): void {
    this.#turns.close(disposedModel());
    this.#parts.dispose();
    if (this.ownsDevice) this.device.dispose();
    else this.device.trim();
  }

  /** {@link InfinityModel.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
