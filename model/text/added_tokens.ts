import { isObject } from "../../engine/mod.ts";
import { isSpace } from "./normaliser.ts";
import { Trie } from "./trie.ts";

/** A token that is found in a prompt before anything else is, such as `</s>` or `<extra_id_0>`. */
export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Whether it is looked for in the normalised text. */
  readonly normalized: boolean;
  /** Whether it counts only where no letter touches it. */
  readonly single_word: boolean;
  /** Whether it takes the white space before it. */
  readonly lstrip: boolean;
  /** Whether it takes the white space after it. */
  readonly rstrip: boolean;
}

/** What a letter is to `tokenizers`, `\w` of Unicode. */
const LETTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;

/**
 * Reads `added_tokens` of a `tokenizer.json`.
 *
 * @param idOf The id that the vocabulary has for a token; others follow after `size`, in their order.
 * @throws {Error} They are malformed; the message is a phrase.
 */
export function readAddedTokens(
  list: unknown,
  idOf: (token: string) => number | undefined,
  size: number,
): AddedToken[] {
  if (!Array.isArray(list)) throw new Error('it has no "added_tokens"');
  let next = size;
  return list.map((node, i) => {
    const { content, id, ...rest } = isObject(node) ? node : {};
    if (typeof content !== "string" || content === "" || !content.isWellFormed()) {
      throw new Error(`entry ${i} of its added_tokens has no content`);
    }
    const expected = idOf(content) ?? next++;
    if (id !== expected) {
      throw new Error(
        `entry ${i} of its added_tokens has the id ${JSON.stringify(id)}, not ${expected}`,
      );
    }
    const flag = (name: "normalized" | "single_word" | "lstrip" | "rstrip") => rest[name] === true;
    return {
      content,
      id: expected,
      normalized: flag("normalized"),
      single_word: flag("single_word"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
    };
  });
}

/** A part of a text: an added token, or what lies between. */
export type Section = number | { readonly text: string; readonly start: number };

/** Splits texts at added tokens; of those that begin at one place, the longest counts. */
export class AddedTokens {
  readonly #trie = new Trie();
  readonly #tokens: readonly AddedToken[];

  /** Takes tokens by their texts. */
  constructor(tokens: ReadonlyMap<string, AddedToken>) {
    this.#tokens = [...tokens.values()];
    for (const [i, text] of [...tokens.keys()].entries()) this.#trie.add(text, i);
  }

  /** The parts of a text in order, none of them empty. */
  *split(text: string): Generator<Section, void, void> {
    if (this.#tokens.length === 0) {
      if (text) yield { text, start: 0 };
      return;
    }
    let done = 0;
    for (let at = 0; at < text.length;) {
      let token: AddedToken | undefined, end = at + 1;
      this.#trie.match(text, at, (i, to) => [token, end] = [this.#tokens[i], to]);
      const begin = at;
      at = end;
      if (!token || (token.single_word && !standsAlone(text, begin, end))) continue;
      let [from, to] = [begin, end];
      while (token.lstrip && from > done && isSpace(text[from - 1]!)) from--;
      while (token.rstrip && to < text.length && isSpace(text[to]!)) to++;
      if (from > done) yield { text: text.slice(done, from), start: done };
      yield token.id;
      done = to;
    }
    if (done < text.length) yield { text: text.slice(done), start: done };
  }
}

function standsAlone(text: string, start: number, end: number): boolean {
  const before = /.?.$/su.exec(text.slice(Math.max(0, start - 2), start))?.[0] ?? "";
  return !LETTER.test([...before].at(-1) ?? "") &&
    !LETTER.test([...text.slice(end, end + 2)][0] ?? "");
}
