/**
 * Reads the pickles of PyTorch checkpoints without running them: a stack machine of the opcodes
 * that `torch.save` writes, over the names of `pickle_values.ts`. Everything else is refused.
 *
 * @module
 */

import { CheckpointError, formatBytes, quote } from "../engine/errors.ts";
import { OP, opcodeName } from "./pickle_opcodes.ts";
import {
  findGlobal,
  Global,
  Opaque,
  type PickleValue,
  reduce,
  storageOf,
  type StorageRef,
  Tuple,
} from "./pickle_values.ts";

/** The largest pickle that is read; that of a 20B training checkpoint has 2 MB. */
export const PICKLE_LIMIT = 2 ** 24;
/** Values that a pickle may make, and remember: each takes memory. That of 20B has half as many. */
const VALUE_LIMIT = 2 ** 19;
const NAME_LIMIT = 256;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A pickle's value, and where it ended. */
export interface Unpickled {
  /** What it holds. */
  readonly value: PickleValue;
  /** The byte after its last. */
  readonly end: number;
  /** The storages it refers to, by key; also those within what is opaque. */
  readonly storages: ReadonlyMap<string, StorageRef>;
}

/**
 * Reads one pickle.
 *
 * @param bytes Bytes that hold it.
 * @param file What error messages call the file.
 * @param start Its first byte.
 * @throws {CheckpointError} `pickle-opcode` or `pickle-global`: one that is not on the allow-list;
 * `pickle-limit`, `pickle-truncated` or `pickle-malformed`. All tell the byte.
 */
export function unpickle(bytes: Uint8Array, file: string, start = 0): Unpickled {
  return new Machine(bytes, file, start).run();
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #storages = new Map<string, StorageRef>();
  #at: number;
  /** Where the present opcode is. */
  #opAt: number;
  #made = 0;

  constructor(bytes: Uint8Array, file: string, start: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
    this.#at = this.#opAt = start;
  }

  run(): Unpickled {
    while (true) {
      this.#opAt = this.#at;
      const op = this.#u8();
      if (op === OP.STOP) return { value: this.#pop(), end: this.#at, storages: this.#storages };
      this.#step(op);
    }
  }

  #step(op: number): void {
    switch (op) {
      case OP.PROTO: {
        const version = this.#u8();
        if (version < 2 || version > 5) throw this.#malformed(`has protocol ${version}`);
        return;
      }
      case OP.FRAME:
        return void this.#skip(8);
      case OP.MARK:
        this.#count();
        return void this.#marks.push(this.#stack.length);
      case OP.NONE:
        return this.#push(null);
      case OP.NEWTRUE:
        return this.#push(true);
      case OP.NEWFALSE:
        return this.#push(false);
      case OP.BININT:
        return this.#push(this.#view.getInt32(this.#skip(4), true));
      case OP.BININT1:
        return this.#push(this.#u8());
      case OP.BININT2:
        return this.#push(this.#view.getUint16(this.#skip(2), true));
      case OP.LONG1:
        return this.#push(this.#long(this.#u8()));
      case OP.BINFLOAT:
        return this.#push(this.#view.getFloat64(this.#skip(8)));
      case OP.BINUNICODE:
      case OP.BINSTRING:
        return this.#push(this.#text(this.#u32()));
      case OP.SHORT_BINUNICODE:
      case OP.SHORT_BINSTRING:
        return this.#push(this.#text(this.#u8()));
      case OP.BINBYTES:
        return this.#push(this.#raw(this.#u32()));
      case OP.SHORT_BINBYTES:
        return this.#push(this.#raw(this.#u8()));
      case OP.EMPTY_TUPLE:
        return this.#push(new Tuple([]));
      case OP.TUPLE1:
        return this.#push(new Tuple([this.#pop()]));
      case OP.TUPLE2:
        return this.#push(new Tuple([this.#pop(), this.#pop()].reverse()));
      case OP.TUPLE3:
        return this.#push(new Tuple([this.#pop(), this.#pop(), this.#pop()].reverse()));
      case OP.TUPLE:
        return this.#push(new Tuple(this.#popMark()));
      case OP.EMPTY_LIST:
        return this.#push([]);
      case OP.EMPTY_DICT:
        return this.#push(new Map());
      case OP.APPEND:
        return this.#append([this.#pop()]);
      case OP.APPENDS:
        return this.#append(this.#popMark());
      case OP.SETITEM:
        return this.#set([this.#pop(), this.#pop()].reverse());
      case OP.SETITEMS:
        return this.#set(this.#popMark());
      case OP.BINPUT:
        return this.#put(this.#u8());
      case OP.LONG_BINPUT:
        return this.#put(this.#u32());
      case OP.MEMOIZE:
        return this.#put(this.#memo.size);
      case OP.BINGET:
        return this.#get(this.#u8());
      case OP.LONG_BINGET:
        return this.#get(this.#u32());
      case OP.GLOBAL:
        return this.#global(this.#line(), this.#line());
      case OP.STACK_GLOBAL: {
        const [name, module] = [this.#pop(), this.#pop()];
        if (typeof module === "string" && typeof name === "string") {
          return this.#global(module, name);
        }
        throw this.#malformed("has a name that is not text");
      }
      case OP.BINPERSID:
        return this.#storage();
      case OP.REDUCE:
      case OP.NEWOBJ:
        return this.#reduce(op);
      case OP.BUILD:
        return this.#build();
      default:
        throw this.#refuse(
          "opcode",
          `pickle opcode ${opcodeName(op)}`,
          "is not allowed in a checkpoint",
        );
    }
  }

  #global(module: string, name: string): void {
    const whole = `${module}.${name}`;
    const global = whole.length <= NAME_LIMIT ? findGlobal(whole) : undefined;
    if (global) return this.#push(global);
    throw this.#refuse(
      "global",
      `the Python name ${quote(whole)}`,
      "is not allowed in a checkpoint",
    );
  }

  #storage(): void {
    const storage = storageOf(this.#pop());
    if (!storage) throw this.#malformed("is no reference to a storage");
    const known = this.#storages.get(storage.key) ?? storage;
    if (known.dtype !== storage.dtype || known.elements !== storage.elements) {
      throw this.#malformed(`tells otherwise of storage ${quote(storage.key)} than before`);
    }
    this.#storages.set(storage.key, known);
    this.#push(storage);
  }

  #reduce(op: number): void {
    const [args, callee] = [this.#pop(), this.#pop()];
    if (!(callee instanceof Global) || !(args instanceof Tuple)) {
      throw this.#malformed("applies what is no name");
    }
    const allowed = op === OP.REDUCE || callee.use.kind === "opaque";
    const value = allowed ? reduce(callee, args.items) : undefined;
    if (value === undefined) throw this.#malformed(`has wrong arguments for ${callee.name}`);
    this.#push(value);
  }

  /** Sets attributes, such as `_metadata` of a state dict: none matters here. */
  #build(): void {
    this.#pop();
    const target = this.#top();
    if (!(target instanceof Map) && !(target instanceof Opaque)) {
      throw this.#malformed("sets attributes of a plain value");
    }
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#malformed("appends to what is no list");
    for (const value of values) list.push(value);
  }

  #set(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) throw this.#malformed("sets items of what is no dict");
    if (items.length % 2) throw this.#malformed("has a key without a value");
    for (let i = 0; i < items.length; i += 2) dict.set(items[i]!, items[i + 1]!);
  }

  #put(index: number): void {
    this.#memo.set(index, this.#top());
    if (this.#memo.size > VALUE_LIMIT) this.#tooMany();
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#malformed(`reads memo ${index}, which is not set`);
    this.#push(value);
  }

  #count(): void {
    if (++this.#made > VALUE_LIMIT) this.#tooMany();
  }

  #tooMany(): never {
    throw this.#refuse("limit", "the pickle", `has more than ${VALUE_LIMIT} values`);
  }

  #push(value: PickleValue): void {
    this.#count();
    this.#stack.push(value);
  }

  /** The top of the stack, which must lie above the last mark. */
  #top(): PickleValue {
    if (this.#stack.length > (this.#marks.at(-1) ?? 0)) return this.#stack.at(-1)!;
    throw this.#malformed("finds the stack empty");
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#malformed("finds no mark");
    return this.#stack.splice(mark);
  }

  /** Moves beyond `length` bytes, and returns where they start. */
  #skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) {
      if (this.#bytes.length >= PICKLE_LIMIT) {
        throw this.#refuse("limit", "the pickle", `has more than ${formatBytes(PICKLE_LIMIT)}`);
      }
      throw this.#refuse("truncated", "the pickle", "ends too early; is the file whole?");
    }
    this.#at += length;
    return start;
  }

  #u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  #raw(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.slice(start, start + length);
  }

  #text(length: number): string {
    const start = this.#skip(length);
    try {
      return UTF8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw this.#malformed("has text that is not UTF-8");
    }
  }

  #line(): string {
    const start = this.#at;
    const length = this.#bytes.subarray(start, start + NAME_LIMIT).indexOf(0x0a);
    if (length < 0) throw this.#malformed("has a name without an end");
    const text = this.#text(length);
    this.#skip(1);
    return text;
  }

  #long(length: number): number | bigint {
    let value = 0n;
    const start = this.#skip(length);
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(this.#bytes[start + i]!);
    value = BigInt.asIntN(8 * length, value);
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  #malformed(why: string): CheckpointError {
    return this.#refuse("malformed", `pickle opcode ${opcodeName(this.#bytes[this.#opAt]!)}`, why);
  }

  #refuse(code: string, what: string, why: string): CheckpointError {
    const message = `Cannot read ${quote(this.#file)}: ${what} at byte ${this.#opAt} ${why}`;
    return new CheckpointError(`pickle-${code}`, message);
  }
}
