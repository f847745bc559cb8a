import { Trie } from "./trie.ts";

/** What an unknown character costs beyond the least likely token, as in SentencePiece and `tokenizers`. */
const UNKNOWN_PENALTY = 10;

/** A token of a text. */
export interface Piece {
  /** Its id in the vocabulary. */
  readonly id: number;
  /** Where it ends in the text, in UTF-16 code units. */
  readonly end: number;
}

/**
 * A Unigram language model (Kudo, arXiv 1804.10959): splits a text into the tokens whose scores have the largest sum.
 * Sums are float64 from left to right and the first of equal ones stays, so that ties are decided as Hugging Face's
 * `tokenizers` decides them.
 */
export class Unigram {
  readonly #trie = new Trie();
  readonly #ids = new Map<string, number>();
  readonly #scores: Float64Array;
  readonly #unknownScore: number;

  /** Takes tokens with their scores, the logarithms of probabilities; `unknown` is the id of unknown characters. */
  constructor(vocab: readonly (readonly [string, number])[], readonly unknown: number) {
    this.#scores = Float64Array.from(vocab, ([, score]) => asRustReads(score));
    this.#unknownScore = this.#scores.reduce((a, b) => Math.min(a, b)) - UNKNOWN_PENALTY;
    for (const [id, [token]] of vocab.entries()) {
      this.#ids.set(token, id);
      this.#trie.add(token, id);
    }
  }

  /** The id of a token, if the vocabulary has it. */
  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  /** The tokens of a text; unknown characters in a row are one token. Time goes with the text's length. */
  encode(text: string): Piece[] {
    const { length } = text;
    const best = new Float64Array(length + 1);
    const from = new Int32Array(length + 1).fill(-1);
    const ids = new Int32Array(length + 1);
    for (let at = 0, width; at < length; at += width) {
      const start = at;
      width = text.codePointAt(at)! > 0xffff ? 2 : 1;
      let known = false;
      const offer = (id: number, end: number, score = this.#scores[id]!) => {
        if (end === start + width) known = true;
        const sum = score + best[start]!;
        if (from[end]! >= 0 && !(sum > best[end]!)) return;
        best[end] = sum;
        from[end] = start;
        ids[end] = id;
      };
      this.#trie.match(text, at, offer);
      if (!known) offer(this.unknown, at + width, this.#unknownScore);
    }
    const pieces: Piece[] = [];
    for (let end = length; end > 0; end = from[end]!) {
      const isMore = ids[end] === this.unknown && pieces.at(-1)?.id === this.unknown;
      if (!isMore) pieces.push({ id: ids[end]!, end });
    }
    return pieces.reverse();
  }
}

/**
 * A number as the JSON reader of `tokenizers` takes it from its shortest digits: it rounds twice, which may miss the
 * nearest float64 by one step and so decide a tie.
 */
function asRustReads(value: number): number {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e(.+))?$/.exec(
    `${value}`,
  )!;
  const power = Number(exponent) - fraction.length;
  const digits = Number(whole + fraction);
  const size = power < 0 ? digits / 10 ** -power : digits * 10 ** power;
  return sign ? -size : size;
}
