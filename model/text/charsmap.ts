/** Most bytes of a replacement; NFKC needs 33. */
const MAX_REPLACEMENT = 256;

/** Graphemes of fewer bytes are looked up as a whole, as in `tokenizers`. */
const LONG_GRAPHEME = 6;

/**
 * The replacements of characters that SentencePiece compiles into its models (`precompiled_charsmap`; T5's is
 * `nmt_nfkc`): the size of a double-array trie in bytes, the trie, and the replacements, each with a zero at its end.
 */
export class Charsmap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  readonly #utf8 = new TextEncoder();
  readonly #text = new TextDecoder();
  readonly #key = new Uint8Array(LONG_GRAPHEME);

  /** Reads a charsmap in base64. @throws {Error} It is none; the message is a phrase. */
  constructor(base64: string) {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const size = bytes.length < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
    if (size === 0 || size % 4 !== 0 || size > bytes.length - 4) {
      throw new Error("its table ends early");
    }
    const view = new DataView(bytes.buffer, 4, size);
    this.#units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
    this.#replacements = bytes.subarray(4 + size);
    for (let at = 0, end; at < this.#replacements.length; at = end + 1) {
      end = this.#replacements.indexOf(0, at);
      if (end < 0) throw new Error("its last replacement has no end");
      if (end - at > MAX_REPLACEMENT) throw new Error(`a replacement has ${end - at} bytes`);
    }
    new TextDecoder("utf-8", { fatal: true }).decode(this.#replacements);
  }

  /** Replaces characters of a text. */
  apply(text: string): string {
    let out = "";
    for (const { segment } of this.#graphemes.segment(text)) {
      const whole = this.#replacement(segment);
      if (whole !== undefined) out += whole;
      else if (segment.length === 1) out += segment;
      else for (const char of segment) out += this.#replacement(char) ?? char;
    }
    return out;
  }

  /**
   * What replaces a short grapheme. As in `tokenizers`, this is the entry of the shortest beginning that has one, even
   * if the grapheme goes on.
   */
  #replacement(grapheme: string): string | undefined {
    if (grapheme.length >= LONG_GRAPHEME) return undefined;
    const { read, written } = this.#utf8.encodeInto(grapheme, this.#key);
    if (read < grapheme.length || written >= LONG_GRAPHEME) return undefined;
    let unit = this.#units[0]!;
    let node = offset(unit);
    for (let i = 0; i < written && this.#key[i] !== 0; i++) {
      node ^= this.#key[i]!;
      unit = this.#units[node] ?? 0;
      if ((unit & 0x800000ff) !== this.#key[i]) return undefined;
      node ^= offset(unit);
      if (unit >> 8 & 1) return this.#textAt((this.#units[node] ?? 0) & 0x7fffffff);
    }
    return undefined;
  }

  /** The replacement that begins at a byte. */
  #textAt(start: number): string | undefined {
    if (start >= this.#replacements.length) return undefined;
    return this.#text.decode(
      this.#replacements.subarray(start, this.#replacements.indexOf(0, start)),
    );
  }
}

/** Distance to the children of a node, from its unit. */
function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 1 << 9) >>> 6);
}
