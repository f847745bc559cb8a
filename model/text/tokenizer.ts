import { CheckpointError, ConfigError, InputError, isObject, quote } from "../../engine/mod.ts";
import { AddedTokens, readAddedTokens } from "./added_tokens.ts";
import { makeNormaliser, type Node, type Normalise } from "./normaliser.ts";
import { makePreTokeniser, type PreTokenise } from "./pre_tokenizer.ts";
import { type Piece, Unigram } from "./unigram.ts";

/** Token at the end of every text of T5. */
const END = "</s>";

/** What Metaspace writes for a space. */
const SPACE = "▁";

/** Most UTF-16 code units of a prompt, and of a token: together they bound the time. */
const MAX_PROMPT = 2 ** 20;
const MAX_TOKEN = 256;

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
  /** Words with characters that no token has, in order; the model does not see these. */
  readonly unknown: string[];
}

/** The parts of a tokenizer. */
interface Parts {
  readonly model: Unigram;
  /** Tokens of the vocabulary. */
  readonly size: number;
  /** Added tokens of the text as it was given, and of the normalised text. */
  readonly raw: AddedTokens;
  readonly normalised: AddedTokens;
  readonly normalise: Normalise;
  readonly preTokenise: PreTokenise;
}

/**
 * T5's Unigram tokenizer, from a Hugging Face `tokenizer.json`. Gives the ids of Hugging Face's `tokenizers`, which the
 * official code uses; of what such a file can hold, it supports what T5 has had and what takes time in proportion to
 * the prompt, and refuses the rest.
 */
export class Tokenizer {
  private constructor(
    private readonly parts: Parts,
    private readonly end: number,
    /** Most tokens of a prompt, including `</s>`. */
    readonly maxLength: number,
  ) {}

  /** Tokens of the vocabulary; added ones may follow. */
  get size(): number {
    return this.parts.size;
  }

  /**
   * Builds a tokenizer from a parsed `tokenizer.json`.
   *
   * @throws {CheckpointError} `bad-tokenizer`: the file is not a Unigram tokenizer with `</s>`, or has rules that are
   * not supported.
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
    try {
      const parts = readParts(json);
      const end = parts.model.idOf(END);
      if (end === undefined) throw new Error(`its vocabulary has no "${END}", which T5 needs`);
      return new Tokenizer(parts, end, maxLength);
    } catch (error) {
      const why = (error as Error).message.slice(0, 300);
      throw new CheckpointError("bad-tokenizer", `Cannot read ${quote(name)}: ${why}`);
    }
  }

  /**
   * Turns a prompt into token ids, to which `</s>` is added at the end.
   *
   * @throws {InputError} `prompt-too-long`: it has more than 2^20 UTF-16 code units.
   */
  encode(text: string): Tokens {
    if (text.length > MAX_PROMPT) {
      throw new InputError(
        "prompt-too-long",
        `Cannot read a prompt of ${text.length} characters: the limit is ${MAX_PROMPT}`,
      );
    }
    const ids: number[] = [], unknown: string[] = [];
    for (const section of this.#sections(text.toWellFormed())) {
      if (typeof section === "number") ids.push(section);
      else {
        const room = this.maxLength - ids.length;
        const pieces = this.parts.model.encode(section).slice(0, room);
        for (const { id } of pieces) ids.push(id);
        const kept = pieces.slice(0, room - 1);
        unknown.push(...wordsOf(section, kept, this.parts.model.unknown));
      }
      // what follows would be cut
      if (ids.length >= this.maxLength) break;
    }
    const truncated = ids.length >= this.maxLength;
    return { ids: [...ids.slice(0, this.maxLength - 1), this.end], truncated, unknown };
  }

  /** Ids of added tokens, and the texts between them as the model reads them. */
  *#sections(text: string): Generator<number | string, void, void> {
    const { raw, normalised, normalise, preTokenise } = this.parts;
    for (const section of raw.split(text)) {
      if (typeof section === "number") {
        yield section;
        continue;
      }
      for (const part of normalised.split(normalise(section.text))) {
        if (typeof part === "number") yield part;
        else {
          const first = section.start === 0 && part.start === 0;
          for (const { text } of preTokenise({ text: part.text, first })) yield text;
        }
      }
    }
  }
}

/** The words of a text that unknown characters belong to. */
function wordsOf(text: string, pieces: readonly Piece[], unknown: number): string[] {
  const words: string[] = [];
  for (let i = 0, done = 0; i < pieces.length; i++) {
    const { id, end } = pieces[i]!;
    const start = pieces[i - 1]?.end ?? 0;
    if (id !== unknown || start < done || text.slice(start, end) === SPACE) continue;
    const next = text.indexOf(SPACE, end);
    done = next < 0 ? text.length : next;
    words.push(text.slice(text.lastIndexOf(SPACE, end - 1) + 1, done));
  }
  return words;
}

/** Reads a tokenizer.json. @throws {Error} It is not one that is supported; the message is a phrase. */
function readParts(json: unknown): Parts {
  if (!isObject(json) || !isObject(json.model)) throw new Error('it has no "model"');
  const model = readModel(json.model);
  const { added_tokens, normalizer, pre_tokenizer, post_processor } = json;
  const size = (json.model.vocab as unknown[]).length;
  const tokens = readAddedTokens(added_tokens, (token) => model.idOf(token), size);
  const long = tokens.find(({ content }) => content.length > MAX_TOKEN);
  if (long) throw new Error(`the added token ${long.id} has more than ${MAX_TOKEN} characters`);
  const normalise = labelled("normalizer", () => makeNormaliser(normalizer));
  const preTokenise = labelled("pre_tokenizer", () => makePreTokeniser(pre_tokenizer));
  labelled("post_processor", () => checkTemplate(post_processor));
  const [raw, normalised] = [false, true].map((wanted) =>
    new AddedTokens(
      new Map(
        tokens.filter(({ normalized }) => normalized === wanted)
          .map((token) => [wanted ? normalise(token.content) : token.content, token]),
      ),
    )
  );
  return { model, size, raw: raw!, normalised: normalised!, normalise, preTokenise };
}

/** Puts the name of a field in front of what is wrong with it. */
function labelled<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`its ${field} ${(error as Error).message}`);
  }
}

function readModel({ type, vocab, unk_id, byte_fallback }: Node): Unigram {
  if (type !== "Unigram") {
    throw new Error(`its model is ${JSON.stringify(type)}, T5's is "Unigram"`);
  }
  if (!Array.isArray(vocab) || vocab.length === 0) throw new Error("its vocabulary is missing");
  const bad = vocab.findIndex((entry) =>
    !(Array.isArray(entry) && typeof entry[0] === "string" && Number.isFinite(entry[1]))
  );
  if (bad >= 0) throw new Error(`entry ${bad} of its vocabulary is not a token and a score`);
  const long = vocab.findIndex(([token]) => token.length > MAX_TOKEN || !token.isWellFormed());
  if (long >= 0) {
    throw new Error(
      `entry ${long} of its vocabulary is not a text of at most ${MAX_TOKEN} characters`,
    );
  }
  if (!Number.isInteger(unk_id) || vocab[unk_id as number] === undefined) {
    throw new Error(`its unk_id ${JSON.stringify(unk_id)} is not in the vocabulary`);
  }
  if (byte_fallback) throw new Error("its model has byte_fallback, which T5 has not");
  return new Unigram(vocab, unk_id as number);
}

/** Checks that a text is followed by `</s>` and nothing else. */
function checkTemplate(node: unknown): void {
  const single = isObject(node) && node.type === "TemplateProcessing" ? node.single : undefined;
  const [text, end, ...rest] = Array.isArray(single) ? single : [];
  const isT5 = isObject(text) && isObject(text.Sequence) && text.Sequence.id === "A" &&
    isObject(end) && isObject(end.SpecialToken) && end.SpecialToken.id === END && rest.length === 0;
  if (!isT5) throw new Error(`is not T5's: the text, then ${END}`);
}
