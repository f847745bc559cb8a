import { type Device, InputError } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import { quantisationOf } from "../checkpoint/quantised_blocks.ts";
import { Weights } from "../checkpoint/weights.ts";
import type { Folder } from "../checkpoint/place.ts";
import type { LowRanks } from "../checkpoint/low_rank.ts";
import { checkTensors, type Part, type Use } from "../checkpoint/check_tensors.ts";
import type { ModelConfig } from "../config/types.ts";
import { T5Encoder } from "../text/t5.ts";
import { Transformer } from "../transformer/transformer.ts";
import { VaeDecoder } from "../vae/vae.ts";
import { VaeEncoder } from "../vae/vae_encoder.ts";

/** The part whose file holds the weights of a use. */
export function partOf(use: Use): Part {
  return use === "vae_encoder" ? "vae" : use;
}

/** Where a model's weights come from. */
export interface PartSource {
  /** Whether the part exists. */
  has(part: Part): Promise<boolean>;
  /** Checks the part against config.json without reading its weights. */
  check(part: Part): Promise<void>;
  /** Storage of the transformer's weights, known once it has been checked or opened. */
  readonly type: WeightType;
  /** Calls `load` with the part's weights, and closes its files afterwards. */
  open<T>(use: Use, load: (weights: Weights) => Promise<T>): Promise<T>;
}

/** Weights in the files of a model folder. */
export class FolderSource implements PartSource {
  /** Storage of the transformer's weights. */
  type: WeightType;

  /**
   * Reads `folder` into `device`: as `given`, else in the quantised blocks that a file holds, else as f32. Adds `added` to
   * the weights.
   */
  constructor(
    private readonly folder: Folder,
    private readonly config: ModelConfig,
    private readonly device: Device,
    private readonly given?: WeightType,
    private readonly added?: LowRanks,
  ) {
    this.type = given ?? "f32";
  }

  has(part: Part): Promise<boolean> {
    return this.folder.exists(this.config.files[part]);
  }

  async check(part: Part): Promise<void> {
    const file = await this.folder.tensors(this.config.files[part]);
    try {
      checkTensors(this.config, part, file);
      this.#typeOf(part, file.metadata);
    } finally {
      file.close();
    }
  }

  async open<T>(use: Use, load: (weights: Weights) => Promise<T>): Promise<T> {
    const file = await this.folder.tensors(this.config.files[partOf(use)]);
    const weights = new Weights(this.device, file, this.#typeOf(use, file.metadata), this.added);
    try {
      checkTensors(this.config, use, file);
      return await load(weights);
    } catch (error) {
      weights.dispose();
      throw error;
    } finally {
      file.close();
    }
  }

  #typeOf(use: Use, metadata: Readonly<Record<string, string>>): WeightType {
    const type = this.given ?? quantisationOf(metadata) ?? "f32";
    if (use === "transformer") this.type = type;
    return type;
  }
}

/** The class of each part when loaded. */
interface Loaded {
  readonly text_encoder: T5Encoder;
  readonly transformer: Transformer;
  readonly vae: VaeDecoder;
  readonly vae_encoder: VaeEncoder;
}

/** Says that a model is used that was disposed. */
export function disposedModel(): InputError {
  return new InputError("disposed-model", "Cannot use a disposed model: load it again");
}

/** A part in use. */
export interface Lease<T> extends Disposable {
  /** The loaded part. */
  readonly part: T;
  /** Ends the use; calling it again does nothing. */
  end(): void;
}

/** A part that is loaded or being loaded, and its number of users. */
interface Entry {
  readonly loading: Promise<Loaded[Use]>;
  loaded?: Loaded[Use];
  users: number;
}

/**
 * The parts of a model that have weights. Each is loaded when it is first used. Resident parts stay in memory; staged
 * parts are freed as soon as nothing uses them, so that two are never in memory at once.
 */
export class Parts {
  #entries: Map<Use, Entry> = new Map();
  #disposed = false;

  /** Manages the parts of `source`; calls `onProgress` with each part before loading it. */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly source: PartSource,
    readonly staged: boolean,
    private readonly onProgress: (part: Part) => void = () => {},
  ) {}

  /** Loads everything that generation needs. A staged model only checks the parts; a `lazy` one does neither. */
  async open(lazy: boolean = false): Promise<{ hasText: boolean }> {
    const hasText = this.config.text_encoder !== undefined && await this.source.has("text_encoder");
    // the smallest first: a VAE of another model is refused before the rest is read
    const parts: Part[] = ["vae", "transformer", ...hasText ? ["text_encoder" as const] : []];
    for (const part of lazy ? [] : parts) {
      if (this.staged) await this.source.check(part);
      else (await this.lease(part)).end();
    }
    this.device.trim();
    return { hasText };
  }

  /** Leases a part, loading it if needed. */
  async lease<U extends Use>(use: U): Promise<Lease<Loaded[U]>> {
    this.refuseDisposed();
    let entry = this.#entries.get(use);
    if (!entry) this.#entries.set(use, entry = { loading: this.#load(use), users: 0 });
    entry.users++;
    try {
      entry.loaded = await entry.loading;
    } catch (error) {
      if (this.#entries.get(use) === entry) this.#entries.delete(use);
      throw error;
    }
    let ended = false;
    const end = () => {
      if (!ended && --entry.users === 0 && this.staged) this.#free(use, entry);
      ended = true;
    };
    return { part: entry.loaded as Loaded[U], end, [Symbol.dispose]: end };
  }

  async #load(use: Use): Promise<Loaded[Use]> {
    this.onProgress(partOf(use));
    const made = await this.source.open(use, async (weights) => {
      const part = await this.#read(use, weights);
      await this.device.finish(); // so that a part that the GPU refused is none
      this.refuseDisposed();
      return part;
    });
    this.device.trim();
    return made;
  }

  #read(use: Use, weights: Weights): Promise<Loaded[Use]> {
    const { vae, transformer, text_encoder } = this.config;
    if (use === "vae") return VaeDecoder.load(weights, vae);
    if (use === "vae_encoder") return VaeEncoder.load(weights, vae);
    if (use === "transformer") return Transformer.load(weights, transformer);
    return T5Encoder.load(weights, text_encoder!);
  }

  #free(use: Use, entry: Entry): void {
    entry.loaded?.dispose();
    if (this.#entries.get(use) === entry) this.#entries.delete(use);
    this.device.trim();
  }

  /** Throws once the parts are disposed. @throws {InputError} `disposed-model`. */
  refuseDisposed(): void {
    if (this.#disposed) throw disposedModel();
  }

  /** Frees all parts; they cannot be leased again. */
  dispose(): void {
    this.#disposed = true;
    for (const { loaded } of this.#entries.values()) loaded?.dispose();
    this.#entries.clear();
  }
}
