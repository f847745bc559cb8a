import type { Device, Tensor, TensorFile } from "../../engine/mod.ts";
import { randomNormal } from "../../kernels/elementwise/random_normal.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import { PART, Weights } from "../checkpoint/weights.ts";
import type { Part } from "../checkpoint/check_tensors.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../checkpoint/tensor_shapes.ts";
import type { ModelConfig } from "../config/types.ts";
import type { Tokens } from "../text/tokenizer.ts";
import type { PartSource } from "./parts.ts";

/**
 * Mean and standard deviation of a tensor's random values, chosen so that activations keep their size across layers.
 */
function distribution(name: string, shape: readonly number[]): { mean: number; deviation: number } {
  if (/scale_mul/.test(name)) return { mean: Math.log(4), deviation: 0.1 };
  if (/norm\d?(\.norm)?\.weight$|layer_norm\.weight$|norm_out/.test(name)) {
    return { mean: name.endsWith("bias") ? 0 : 1, deviation: 0.02 };
  }
  if (/ada_gss$/.test(name)) return { mean: 0.3, deviation: 0.1 };
  if (/embed|cfg_uncond|pos_start|mat_q$|shared\.weight/.test(name) && shape.length < 4) {
    return { mean: 0, deviation: name.startsWith("word_embed.weight") ? 1 : 0.5 };
  }
  if (shape.length < 2) return { mean: 0, deviation: 0.02 };
  const fanIn = shape.slice(1).reduce((product, n) => product * n, 1);
  return { mean: 0, deviation: 1 / Math.sqrt(fanIn) };
}

/** FNV-1a hash, which turns a tensor's name into its seed. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
  return h;
}

/** Random weights, made on the GPU instead of read from a file: as large as a real model's. */
class SyntheticWeights extends Weights {
  #shapes: ReadonlyMap<string, readonly number[]>;

  constructor(device: Device, type: WeightType, shapes: Iterable<NamedShape>) {
    const file: Pick<TensorFile, "name" | "tensors"> = { name: "synthetic", tensors: new Map() };
    super(device, file as TensorFile, type);
    this.#shapes = new Map(shapes);
  }

  override has(name: string): boolean {
    return this.#shapes.has(name);
  }

  override shapeOf(name: string): readonly number[] {
    return this.#shapes.get(name) ?? [];
  }

  override host(name: string, shape: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const { mean, deviation } = distribution(name, shape);
    const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
    let state = hash(name) | 1;
    for (let i = 0; i < values.length; i++) {
      // a sum of three uniform numbers is close enough to a normal one for the small tensors loaded this way
      let sum = 0;
      for (let k = 0; k < 3; k++) {
        state = Math.imul(state, 1664525) + 1013904223 >>> 0;
        sum += state / 2 ** 31 - 1;
      }
      values[i] = mean + deviation * sum;
    }
    return Promise.resolve(values);
  }

  override table(name: string, [V, C]: readonly [number, number]): Promise<Tensor[]> {
    const rows = Math.floor(PART / (C * 4));
    const parts: Tensor[] = [];
    for (let first = 0; first < V; first += rows) {
      const shape = [Math.min(rows, V - first), C];
      const part = this.device.tensor("f32", shape, `weight ${name}`, "weights");
      randomNormal(this.device, {
        y: part,
        key: hash(`${name} ${first}`),
        ...distribution(name, shape),
      });
      parts.push(this.narrow(part));
    }
    return Promise.resolve(parts);
  }

  override tensor(name: string, shape: readonly number[]): Promise<Tensor> {
    const y = this.keep(this.device.tensor("f32", shape, `weight ${name}`, "weights"));
    randomNormal(this.device, { y, key: hash(name), ...distribution(name, shape) });
    return Promise.resolve(y);
  }
}

/** A model's parts without files: every tensor of its config, random and well scaled. */
export class SyntheticSource implements PartSource {
  /** Makes weights of `config` on `device`. */
  constructor(
    private readonly config: ModelConfig,
    private readonly device: Device,
    readonly type: WeightType,
  ) {}

  has(part: Part): Promise<boolean> {
    return Promise.resolve(part !== "text_encoder" || this.config.text_encoder !== undefined);
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  async open<T>(part: Part, load: (weights: Weights) => Promise<T>): Promise<T> {
    const { transformer, vae, text_encoder } = this.config;
    const shapes = part === "transformer"
      ? parameterShapes(transformer)
      : part === "vae"
      ? vaeShapes(vae)
      : t5Shapes(text_encoder!);
    const weights = new SyntheticWeights(this.device, this.type, shapes);
    try {
      return await load(weights);
    } catch (error) {
      weights.dispose();
      throw error;
    }
  }
}

/** Replaces the tokenizer in a synthetic model: each word is one token. */
export class WordTokenizer {
  /** Makes ids below `vocabulary`, at most `maxLength` per text including `</s>`. */
  constructor(private readonly vocabulary: number, private readonly maxLength: number) {}

  /** Returns the token ids of a text, ending with `</s>` (1). */
  encode(text: string): Tokens {
    const words = text.trim().split(/\s+/).map((word) => 3 + hash(word) % (this.vocabulary - 3));
    const truncated = words.length >= this.maxLength;
    return { ids: [...words.slice(0, this.maxLength - 1), 1], truncated, unknown: [] };
  }
}
