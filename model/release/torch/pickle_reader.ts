/** Reads opcodes and arguments from the bytes of a pickle; errors give the byte. */
import { CheckpointError, formatBytes, quote } from "../../../engine/mod.ts";
import { opcodeName } from "./pickle_opcodes.ts";

/** The largest pickle that is accepted; a 20B training checkpoint has 2 MB. */
export const PICKLE_LIMIT = 2 ** 24;
/** The longest line, which holds a Python name. */
export const NAME_LIMIT = 256;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A cursor over the bytes of a pickle. */
export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  #at: number;
  /** Offset of the current opcode. */
  #opAt: number;

  /** Starts at byte `start`; `file` is the file's name in messages. */
  constructor(bytes: Uint8Array, file: string, start: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
    this.#at = this.#opAt = start;
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Reads the next opcode, which later errors refer to. */
  opcode(): number {
    this.#opAt = this.#at;
    return this.u8();
  }

  /** Skips `length` bytes, and returns their offset. */
  skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) {
      if (this.#bytes.length >= PICKLE_LIMIT) {
        throw this.refuse("limit", "the pickle", `has more than ${formatBytes(PICKLE_LIMIT)}`);
      }
      throw this.refuse("truncated", "the pickle", "ends too early; is the file complete?");
    }
    this.#at += length;
    return start;
  }

  /** Reads a byte. */
  u8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  /** Reads an unsigned integer of 4 bytes. */
  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** Reads a signed integer of 4 bytes. */
  i32(): number {
    return this.#view.getInt32(this.skip(4), true);
  }

  /** Reads an unsigned integer of 2 bytes. */
  u16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  /** Reads a double, big-endian. */
  f64(): number {
    return this.#view.getFloat64(this.skip(8));
  }

  /** Reads bytes. */
  raw(length: number): Uint8Array {
    const start = this.skip(length);
    return this.#bytes.slice(start, start + length);
  }

  /** Reads UTF-8. */
  text(length: number): string {
    const start = this.skip(length);
    try {
      return UTF8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw this.malformed("has text that is not UTF-8");
    }
  }

  /** Reads text up to the end of the line. */
  line(): string {
    const start = this.#at;
    const length = this.#bytes.subarray(start, start + NAME_LIMIT).indexOf(0x0a);
    if (length < 0) throw this.malformed("has a name without an end");
    const text = this.text(length);
    this.skip(1);
    return text;
  }

  /** Reads a signed integer of any length. */
  long(length: number): number | bigint {
    let value = 0n;
    const start = this.skip(length);
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(this.#bytes[start + i]!);
    value = BigInt.asIntN(8 * length, value);
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  /** Returns the error for a malformed opcode. */
  malformed(why: string): CheckpointError {
    return this.refuse("malformed", `pickle opcode ${opcodeName(this.#bytes[this.#opAt]!)}`, why);
  }

  /** Returns the error for anything that is refused at the current opcode. */
  refuse(code: string, what: string, why: string): CheckpointError {
    const message = `Cannot read ${quote(this.#file)}: ${what} at byte ${this.#opAt} ${why}`;
    return new CheckpointError(`pickle-${code}`, message);
  }
}
