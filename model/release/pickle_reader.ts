/** The bytes of a pickle: opcodes, their arguments, and refusals that tell where. */
import { CheckpointError, formatBytes, quote } from "../../engine/mod.ts";
import { opcodeName } from "./pickle_opcodes.ts";

/** The largest pickle that is read; that of a 20B training checkpoint has 2 MB. */
export const PICKLE_LIMIT = 2 ** 24;
/** The longest line: a Python name. */
export const NAME_LIMIT = 256;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a pickle from byte to byte. */
export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  #at: number;
  /** Where the present opcode is. */
  #opAt: number;

  /** Starts at byte `start`; messages call the file `file`. */
  constructor(bytes: Uint8Array, file: string, start: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
    this.#at = this.#opAt = start;
  }

  /** The byte that is next. */
  get at(): number {
    return this.#at;
  }

  /** The next opcode, which later refusals refer to. */
  opcode(): number {
    this.#opAt = this.#at;
    return this.u8();
  }

  /** Moves beyond `length` bytes, and returns where they start. */
  skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) {
      if (this.#bytes.length >= PICKLE_LIMIT) {
        throw this.refuse("limit", "the pickle", `has more than ${formatBytes(PICKLE_LIMIT)}`);
      }
      throw this.refuse("truncated", "the pickle", "ends too early; is the file whole?");
    }
    this.#at += length;
    return start;
  }

  /** A byte. */
  u8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  /** A whole number of four bytes. */
  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** A signed whole number of four bytes. */
  i32(): number {
    return this.#view.getInt32(this.skip(4), true);
  }

  /** A whole number of two bytes. */
  u16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  /** A number of eight bytes, big-endian. */
  f64(): number {
    return this.#view.getFloat64(this.skip(8));
  }

  /** Bytes as they are. */
  raw(length: number): Uint8Array {
    const start = this.skip(length);
    return this.#bytes.slice(start, start + length);
  }

  /** UTF-8. */
  text(length: number): string {
    const start = this.skip(length);
    try {
      return UTF8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw this.malformed("has text that is not UTF-8");
    }
  }

  /** Text up to the end of the line. */
  line(): string {
    const start = this.#at;
    const length = this.#bytes.subarray(start, start + NAME_LIMIT).indexOf(0x0a);
    if (length < 0) throw this.malformed("has a name without an end");
    const text = this.text(length);
    this.skip(1);
    return text;
  }

  /** A whole number of any size. */
  long(length: number): number | bigint {
    let value = 0n;
    const start = this.skip(length);
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(this.#bytes[start + i]!);
    value = BigInt.asIntN(8 * length, value);
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  /** The error of an opcode that cannot be. */
  malformed(why: string): CheckpointError {
    return this.refuse("malformed", `pickle opcode ${opcodeName(this.#bytes[this.#opAt]!)}`, why);
  }

  /** The error of what is not read, at the present opcode. */
  refuse(code: string, what: string, why: string): CheckpointError {
    const message = `Cannot read ${quote(this.#file)}: ${what} at byte ${this.#opAt} ${why}`;
    return new CheckpointError(`pickle-${code}`, message);
  }
}
