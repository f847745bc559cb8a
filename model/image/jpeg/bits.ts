/** Huffman codes of JPEG scans. */

/** Bits that one look-up decodes; longer codes are rare. */
const QUICK = 9;

/** A Huffman table, ready to decode. */
export interface HuffmanTable {
  /** By the next {@link QUICK} bits: the code's length << 8 | its symbol, or 0 if it is longer. */
  readonly quick: Uint16Array;
  /** By length 1 to 16: one more than the largest code, shifted to 16 bits. */
  readonly limit: Int32Array;
  /** By length: what to add to a code to get its symbol's index. */
  readonly offset: Int32Array;
  readonly symbols: Uint8Array;
}

/** The data of a JPEG contradict themselves; the reader of the file says so with its name. */
export class CorruptJpeg extends Error {}

/**
 * Builds a table from a DHT segment.
 *
 * @param counts The number of codes of each length, 1 to 16.
 * @param symbols The symbols in the order of their codes.
 * @throws {CorruptJpeg} There are more codes than bits can tell apart.
 */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable {
  const quick = new Uint16Array(1 << QUICK);
  const limit = new Int32Array(18);
  const offset = new Int32Array(18);
  let code = 0, index = 0;
  for (let length = 1; length <= 16; length++, code <<= 1) {
    offset[length] = index - code;
    for (let i = 0; i < counts[length - 1]; i++, code++, index++) {
      if (code >= 1 << length) throw new CorruptJpeg("a Huffman table has too many codes");
      if (length > QUICK) continue;
      const first = code << QUICK - length;
      quick.fill(length << 8 | symbols[index], first, first + (1 << QUICK - length));
    }
    limit[length] = code << 16 - length;
  }
  limit[17] = 1 << 30; // ends the search
  return { quick, limit, offset, symbols };
}

/** Reads the bits of one scan. */
export class BitReader {
  #bits = 0;
  #count = 0;
  #made = 0;

  /** Reads `bytes` from `at` to `end`. */
  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
    private readonly end: number,
  ) {}

  /** Makes at least 25 bits available. After the data, or at a marker, they are zeros. */
  #fill(): void {
    const { bytes, end } = this;
    let { at } = this;
    let bits = this.#bits, count = this.#count;
    while (count <= 24) {
      let byte = 0;
      if (at >= end || bytes[at] === 0xff && bytes[at + 1] !== 0) this.#made += 8;
      else {
        byte = bytes[at];
        at += byte === 0xff ? 2 : 1;
      }
      bits = bits << 8 | byte;
      count += 8;
    }
    this.#bits = bits;
    this.#count = count;
    this.at = at;
  }

  /** Decodes one symbol. */
  symbol(table: HuffmanTable): number {
    if (this.#count < 16) this.#fill();
    const found = table.quick[this.#bits >>> this.#count - QUICK & (1 << QUICK) - 1];
    if (found !== 0) {
      this.#count -= found >> 8;
      return found & 0xff;
    }
    const next = this.#bits >>> this.#count - 16 & 0xffff;
    let length = 1;
    while (next >= table.limit[length]) length++;
    if (length > 16) throw new CorruptJpeg("a Huffman code is not in its table");
    this.#count -= length;
    return table.symbols[(next >> 16 - length) + table.offset[length]];
  }

  /** Reads 0 to 16 bits as an unsigned number. */
  unsigned(count: number): number {
    if (this.#count < count) this.#fill();
    this.#count -= count;
    return this.#bits >>> this.#count & (1 << count) - 1;
  }

  /** Reads a number of 1 to 16 bits, whose first bit is 0 if it is negative. */
  signed(count: number): number {
    const value = this.unsigned(count);
    return value < 1 << count - 1 ? value - (1 << count) + 1 : value;
  }

  /** @throws {CorruptJpeg} More was read than there is. */
  check(): void {
    if (this.#made > this.#count) throw new CorruptJpeg("the data of a scan end early");
  }

  /** Goes on after the restart marker of this number, modulo 8. @throws {CorruptJpeg} It is another. */
  restart(number: number): void {
    this.check();
    let { at } = this;
    while (at < this.end && (this.bytes[at] !== 0xff || this.bytes[at + 1] === 0)) at++;
    while (at < this.end && this.bytes[at] === 0xff) at++;
    if (at >= this.end) throw new CorruptJpeg("the data of a scan end early");
    if (this.bytes[at] !== 0xd0 + number % 8) {
      throw new CorruptJpeg("a restart marker is missing");
    }
    this.at = at + 1;
    this.#bits = this.#count = this.#made = 0;
  }
}
