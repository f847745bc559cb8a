import { type Device, InputError } from "../engine/mod.ts";
import type { WeightType } from "../kernels/linear.ts";
import { quantisationOf } from "./blocks.ts";
import { Weights } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import type { Folder } from "./folder.ts";
import { checkFile, type Part } from "./keys.ts";
import { T5Encoder } from "./t5.ts";
import { Transformer } from "./transformer.ts";
import { VaeDecoder } from "./vae.ts";

/** Where a model's weights come from. */
export interface PartSource {
  /** Whether the part is there. */
  has(part: Part): Promise<boolean>;
  /** Checks that the part is the one config.json speaks of, without reading its weights. */
  check(part: Part): Promise<void>;
  /** Storage of the transformer's weights, known once it was checked or opened. */
  readonly type: WeightType;
  /** Calls `load` with the part's weights, and closes what it opened. */
  open<T>(part: Part, load: (weights: Weights) => Promise<T>): Promise<T>;
}

/** Weights in the files of a model folder. */
export class FolderSource implements PartSource {
  /** Storage of the transformer's weights. */
  type: WeightType;

  /** Reads `folder` into `device`, as `given`, or in the blocks that a file is in, or as f32. */
  constructor(
    private readonly folder: Folder,
    private readonly config: ModelConfig,
    private readonly device: Device,
    private readonly given?: WeightType,
  ) {
    this.type = given ?? "f32";
  }

  has(part: Part): Promise<boolean> {
    return this.folder.exists(this.config.files[part]);
  }

  async check(part: Part): Promise<void> {
    const file = await this.folder.tensors(this.config.files[part]);
    try {
      checkFile(this.config, part, file);
      this.#typeOf(part, file.metadata);
    } finally {
      file.close();
    }
  }

  async open<T>(part: Part, load: (weights: Weights) => Promise<T>): Promise<T> {
    const file = await this.folder.tensors(this.config.files[part]);
    const weights = new Weights(this.device, file, this.#typeOf(part, file.metadata));
    try {
      checkFile(this.config, part, file);
      return await load(weights);
    } catch (error) {
      weights.dispose();
      throw error;
    } finally {
      file.close();
    }
  }

  #typeOf(part: Part, metadata: Readonly<Record<string, string>>): WeightType {
    const type = this.given ?? quantisationOf(metadata) ?? "f32";
    if (part === "transformer") this.type = type;
    return type;
  }
}

/** What a part is when it is loaded. */
interface Loaded {
  readonly text_encoder: T5Encoder;
  readonly transformer: Transformer;
  readonly vae: VaeDecoder;
}

/**
 * The parts of a model that have weights, loaded when they are first used. Resident parts stay; staged ones are freed
 * as soon as they are done, so that no two are in memory at once.
 */
export class Parts {
  #loaded: { [P in Part]?: Loaded[P] } = {};
  #disposed = false;

  /** Parts of `source`; `onProgress` hears which is being loaded. */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly source: PartSource,
    readonly staged: boolean,
    private readonly onProgress: (part: Part) => void = () => {},
  ) {}

  /** Loads everything there is, or in stages, checks that it can be. */
  async open(): Promise<{ hasText: boolean }> {
    const hasText = this.config.text_encoder !== undefined && await this.source.has("text_encoder");
    // the smallest first: a VAE of another model is refused before the rest is read
    const parts: Part[] = ["vae", "transformer", ...hasText ? ["text_encoder" as const] : []];
    for (const part of parts) {
      if (this.staged) await this.source.check(part);
      else await this.get(part);
    }
    this.device.trim();
    this.device.check();
    return { hasText };
  }

  /** A part, loaded if it is not. */
  async get<P extends Part>(part: P): Promise<Loaded[P]> {
    this.#refuseDisposed();
    const loaded = this.#loaded[part];
    if (loaded) return loaded as Loaded[P];
    this.onProgress(part);
    const made = await this.source.open(part, async (weights) => {
      const loading = await this.#load(part, weights);
      this.#refuseDisposed();
      return loading;
    });
    (this.#loaded as Record<Part, unknown>)[part] = made;
    this.device.trim();
    return made as Loaded[P];
  }

  #load(part: Part, weights: Weights): Promise<Loaded[Part]> {
    if (part === "vae") return VaeDecoder.load(weights, this.config.vae);
    if (part === "transformer") return Transformer.load(weights, this.config.transformer);
    return T5Encoder.load(weights, this.config.text_encoder!);
  }

  /** Frees a part that will not be used again in this picture, if parts are staged. */
  done(part: Part): void {
    if (!this.staged) return;
    this.#loaded[part]?.dispose();
    delete this.#loaded[part];
    this.device.trim();
  }

  #refuseDisposed(): void {
    if (!this.#disposed) return;
    throw new InputError("disposed-model", "Cannot use a disposed model: load it again");
  }

  /** Frees all parts, for good. */
  dispose(): void {
    this.#disposed = true;
    for (const part of Object.values(this.#loaded)) part.dispose();
    this.#loaded = {};
  }
}
