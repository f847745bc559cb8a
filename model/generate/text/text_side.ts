import { type Device, InputError } from "../../../engine/mod.ts";
import type { ModelConfig } from "../../config/types.ts";
import { promptWarnings } from "./prompt_warnings.ts";
import type { Lease, Parts } from "../../parts/parts.ts";
import type { Stage } from "../plan/progress.ts";
import {
  type FeatureRows,
  type RowRange,
  type TextFeatures,
  TextRows,
} from "../../text/text_rows.ts";
import type { Tokenizer, Tokens } from "../../text/tokenizer.ts";
import type { Transformer } from "../../transformer/transformer.ts";

/** Prompts, or text features in their place. */
export interface TextOptions {
  /** One prompt or several; each gives `batchCount` images. */
  readonly prompt?: string | readonly string[];
  /** What guidance steers away from, in place of the model's learnt unconditional text. */
  readonly negativePrompt?: string;
  /** Text features in place of prompts. */
  readonly textFeatures?: FeatureRows;
  /** Text features in place of a negative prompt: one for all images, or one for each. */
  readonly negativeFeatures?: FeatureRows;
}

/** The conditional text of a batch and, with guidance, the unconditional one. */
export interface Texts {
  /** Text features, which the caller disposes. */
  readonly text: TextFeatures;
  /** The prompt of each image, if there were prompts. */
  readonly prompts: readonly string[] | null;
  /** The transformer, whose learnt rows may be part of the features; the caller ends the lease. */
  readonly transformer: Lease<Transformer>;
}

/** How texts become a batch. */
interface Batch {
  /** Number of images per text. */
  readonly batchCount: number;
  /** Whether unconditional text is needed. */
  readonly guided: boolean;
  /** Receives a line for each thing that a user should know. */
  warn(line: string): void;
  /** See {@link Hooks}. */
  onStage?(stage: Stage): void;
}

/** The prompts of a call. @throws {InputError} `empty-prompt`: there is none, or one is blank. */
export function promptsOf({ prompt }: TextOptions): readonly string[] {
  const prompts = typeof prompt === "string" ? [prompt] : prompt ?? [];
  if (prompts.length === 0 || prompts.some((p) => p.trim() === "")) {
    throw new InputError(
      "empty-prompt",
      "Cannot generate from an empty prompt: say what the image shows",
    );
  }
  return prompts;
}

/** Turns prompts into the features that condition the transformer. */
export class TextSide {
  /** Takes the tokenizer of the model, or null if it has none. */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly parts: Parts,
    private readonly tokenizer: Pick<Tokenizer, "encode"> | null,
  ) {}

  /** The features of each image: all conditional ones, then, if `guided`, all unconditional ones. */
  async texts(options: TextOptions, batch: Batch): Promise<Texts> {
    const { batchCount, guided } = batch;
    const prompts = options.textFeatures ? null : promptsOf(options);
    const negative = guided && !options.negativeFeatures ? options.negativePrompt : undefined;
    const texts = [...prompts ?? [], ...negative === undefined ? [] : [negative]];
    const tokens = texts.map((text) => this.#tokenize(text));
    for (const line of promptWarnings(texts, tokens)) batch.warn(line);
    // one pass encodes both; each image then gets its own copy
    const encoded = texts.length > 0 ? await this.#encode(tokens.map(({ ids }) => ids)) : null;
    const rows = new TextRows(this.device, this.config.transformer.text_channels);
    let transformer: Lease<Transformer> | undefined;
    try {
      batch.onStage?.("transformer");
      const split = prompts?.length ?? 0;
      const cond = options.textFeatures
        ? rows.upload(options.textFeatures)
        : rows.range(encoded!, 0, split);
      transformer = await this.parts.lease("transformer");
      const each = cond.flatMap((item) => Array<RowRange>(batchCount).fill(item));
      const imagePrompts = prompts && prompts.flatMap((p) => Array<string>(batchCount).fill(p));
      if (!guided) return { text: rows.gather(each), prompts: imagePrompts, transformer };
      let uncond: RowRange[];
      if (options.negativeFeatures) uncond = rows.upload(options.negativeFeatures);
      else if (negative !== undefined) uncond = rows.range(encoded!, split, 1);
      else uncond = rows.own(transformer.part.unconditional(each.map((r) => r.count)), each);
      if (uncond.length === 1) uncond = each.map(() => uncond[0]!);
      if (uncond.length !== each.length) {
        throw new InputError(
          "wrong-length",
          `Cannot guide ${each.length} images with ${uncond.length} negative texts: give one for ` +
            "all, or one for each",
        );
      }
      return { text: rows.gather([...each, ...uncond]), prompts: imagePrompts, transformer };
    } catch (error) {
      transformer?.end();
      throw error;
    } finally {
      encoded?.features.dispose();
      rows.dispose();
    }
  }

  #tokenize(text: string): Tokens {
    if (!this.tokenizer) {
      throw new InputError(
        "no-text-encoder",
        `Cannot read a prompt: ${this.config.name} has no ${this.config.files.text_encoder}; ` +
          "add the file, or give text features",
      );
    }
    return this.tokenizer.encode(text);
  }

  async #encode(ids: readonly (readonly number[])[]): Promise<TextFeatures> {
    using encoder = await this.parts.lease("text_encoder");
    return this.device.allOrNothing(() => encoder.part.encode(ids));
  }
}
