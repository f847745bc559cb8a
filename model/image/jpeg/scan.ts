/** Decodes the scans of a JPEG to coefficients: sequential and progressive Huffman coding. */

import { BitReader, CorruptJpeg } from "./bits.ts";
import { type Scan, type ScanComponent, ZIGZAG } from "./types.ts";

/** Decodes one block into coefs[at … at + 63], which hold what earlier scans have decoded. */
type DecodeBlock = (part: ScanComponent, index: number, coefs: Int16Array, at: number) => void;

/** The state of a scan's decoder. */
export class ScanDecoder {
  readonly #bits: BitReader;
  readonly #predictions: Int32Array;
  /** Blocks that a progressive scan skips. */
  #skip = 0;
  #mcus = 0;
  #restarts = 0;
  readonly #decode: DecodeBlock;

  /** Starts to decode a scan of the file's bytes. */
  constructor(bytes: Uint8Array, private readonly scan: Scan, progressive: boolean) {
    this.#bits = new BitReader(bytes, scan.start, scan.end);
    this.#predictions = new Int32Array(scan.components.length);
    this.#decode = !progressive
      ? this.#sequential
      : scan.from === 0
      ? (scan.high === 0 ? this.#dcFirst : this.#dcMore)
      : scan.high === 0
      ? this.#acFirst
      : this.#acMore;
  }

  /** Call before each MCU. */
  nextMcu(): void {
    const { restartInterval } = this.scan;
    if (restartInterval > 0 && this.#mcus === restartInterval) {
      this.#bits.restart(this.#restarts++);
      this.#predictions.fill(0);
      this.#skip = this.#mcus = 0;
    }
    this.#mcus++;
  }

  /** Decodes the next block. `index` says which component of the scan it belongs to. */
  block(index: number, coefs: Int16Array, at: number): void {
    this.#decode(this.scan.components[index]!, index, coefs, at);
  }

  /** @throws {CorruptJpeg} More was read than there is. */
  check(): void {
    this.#bits.check();
  }

  #sequential(part: ScanComponent, index: number, coefs: Int16Array, at: number): void {
    const bits = this.#bits;
    const ac = part.ac!;
    coefs[at] = this.#dc(part, index);
    for (let k = 1; k < 64; k++) {
      const symbol = bits.symbol(ac);
      const size = symbol & 15;
      k += symbol >> 4;
      if (size !== 0) {
        if (k > 63) throw overrun();
        coefs[at + ZIGZAG[k]] = bits.signed(size);
      } else if (symbol !== 0xf0) return;
    }
  }

  #dc(part: ScanComponent, index: number): number {
    const size = this.#bits.symbol(part.dc!);
    if (size > 16) throw overrun();
    if (size > 0) this.#predictions[index] += this.#bits.signed(size);
    return this.#predictions[index];
  }

  #dcFirst(part: ScanComponent, index: number, coefs: Int16Array, at: number): void {
    coefs[at] = this.#dc(part, index) << this.scan.low;
  }

  #dcMore(_: ScanComponent, __: number, coefs: Int16Array, at: number): void {
    coefs[at] |= this.#bits.unsigned(1) << this.scan.low;
  }

  #acFirst(part: ScanComponent, _: number, coefs: Int16Array, at: number): void {
    if (this.#skip > 0) {
      this.#skip--;
      return;
    }
    const bits = this.#bits;
    const { from, to, low } = this.scan;
    for (let k = from; k <= to; k++) {
      const symbol = bits.symbol(part.ac!);
      const size = symbol & 15, run = symbol >> 4;
      if (size === 0 && run < 15) {
        this.#skip = (1 << run) - 1 + bits.unsigned(run);
        return;
      }
      k += run;
      if (size === 0) continue;
      if (k > to) throw overrun();
      coefs[at + ZIGZAG[k]] = bits.signed(size) << low;
    }
  }

  #acMore(part: ScanComponent, _: number, coefs: Int16Array, at: number): void {
    const bits = this.#bits;
    const { from, to, low } = this.scan;
    let k = from;
    if (this.#skip === 0) {
      for (; k <= to; k++) {
        const symbol = bits.symbol(part.ac!);
        const size = symbol & 15;
        let run = symbol >> 4;
        let value = 0;
        if (size === 1) value = bits.unsigned(1) === 1 ? 1 << low : -1 << low;
        else if (size !== 0) throw overrun();
        else if (run < 15) {
          this.#skip = (1 << run) + bits.unsigned(run);
          break;
        }
        // passes `run` coefficients that are still 0, and refines the others on the way
        for (; k <= to; k++) {
          const place = at + ZIGZAG[k];
          if (coefs[place] !== 0) this.#refine(coefs, place);
          else if (run-- === 0) break;
        }
        if (value === 0) continue;
        if (k > to) throw overrun();
        coefs[at + ZIGZAG[k]] = value;
      }
    }
    if (this.#skip === 0) return;
    for (; k <= to; k++) {
      const place = at + ZIGZAG[k];
      if (coefs[place] !== 0) this.#refine(coefs, place);
    }
    this.#skip--;
  }

  #refine(coefs: Int16Array, place: number): void {
    if (this.#bits.unsigned(1) === 0) return;
    const bit = 1 << this.scan.low;
    if ((coefs[place] & bit) === 0) coefs[place] += coefs[place] > 0 ? bit : -bit;
  }
}

function overrun(): CorruptJpeg {
  return new CorruptJpeg("a block has too many coefficients");
}
