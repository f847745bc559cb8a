import { Tokenizer as HuggingFaceTokenizer } from "../../deps/@huggingface/tokenizers.ts";
import { CheckpointError, ConfigError } from "../../engine/mod.ts";

/** Token at the end of every text of T5. */
const END = "</s>";

/** How to tokenise. */
export interface TokenizerOptions {
  /** Most tokens of a prompt, including `</s>`. */
  readonly maxLength: number;
  /** Name of the file in error messages; `tokenizer.json` if absent. */
  readonly name?: string;
}

/** A tokenised prompt. */
export interface Tokens {
  /** Token ids; the last is `</s>`. */
  readonly ids: number[];
  /** Whether the prompt was too long and was cut. */
  readonly truncated: boolean;
}

/** T5's Unigram tokenizer, from a Hugging Face `tokenizer.json`. */
export class Tokenizer {
  private constructor(
    private readonly tokenizer: HuggingFaceTokenizer,
    private readonly end: number,
    /** Most tokens of a prompt, including `</s>`. */
    readonly maxLength: number,
  ) {}

  /**
   * Builds a tokenizer from a parsed `tokenizer.json`.
   *
   * @throws {CheckpointError} `bad-tokenizer`: the file is not a Unigram tokenizer with `</s>`.
   * @throws {ConfigError} `bad-max-length`: `maxLength` is not a whole number of at least 1.
   */
  static load(json: unknown, options: TokenizerOptions): Tokenizer {
    const { maxLength, name = "tokenizer.json" } = options;
    if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
      throw new ConfigError(
        "bad-max-length",
        `Cannot cut prompts to ${maxLength} tokens: max_length must be a whole number of at least 1`,
      );
    }
    const refuse = (why: string, cause?: unknown) =>
      new CheckpointError("bad-tokenizer", `Cannot read "${name}": ${why}`, { cause });
    const fault = faultOf(json);
    if (fault) throw refuse(fault);
    let tokenizer: HuggingFaceTokenizer;
    try {
      tokenizer = new HuggingFaceTokenizer(json as object, { eos_token: END });
    } catch (error) {
      throw refuse((error as Error).message.split("\n")[0]!, error);
    }
    const end = tokenizer.token_to_id(END);
    if (end === undefined) throw refuse(`its vocabulary has no "${END}", which T5 needs`);
    return new Tokenizer(tokenizer, end, maxLength);
  }

  /** Turns a prompt into token ids. The last is `</s>`, exactly once, even if the prompt contains it or is cut. */
  encode(text: string): Tokens {
    const { ids } = this.tokenizer.encode(text, { add_special_tokens: false });
    while (ids.at(-1) === this.end) ids.pop();
    const truncated = ids.length >= this.maxLength;
    return { ids: [...ids.slice(0, this.maxLength - 1), this.end], truncated };
  }
}

/** Returns what is wrong with a parsed tokenizer.json where the package would not say so; null if nothing is. */
function faultOf(json: unknown): string | null {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null;
  if (!isObject(json) || !isObject(json.model)) return 'it has no "model"';
  const { type, vocab, unk_id } = json.model;
  if (type !== "Unigram") return `its model is ${JSON.stringify(type)}, T5's is "Unigram"`;
  if (!Array.isArray(vocab) || vocab.length === 0) return "its vocabulary is missing";
  const bad = vocab.findIndex((entry) =>
    !(Array.isArray(entry) && typeof entry[0] === "string" && Number.isFinite(entry[1]))
  );
  if (bad >= 0) return `entry ${bad} of its vocabulary is not a token and a score`;
  if (!Number.isInteger(unk_id) || vocab[unk_id as number] === undefined) {
    return `its unk_id ${JSON.stringify(unk_id)} is not in the vocabulary`;
  }
  return Array.isArray(json.added_tokens) ? null : 'it has no "added_tokens"';
}
