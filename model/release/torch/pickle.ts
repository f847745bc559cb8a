/**
 * Reads the pickles of PyTorch checkpoints without running them: a stack machine for the opcodes
 * that `torch.save` writes and the names in `pickle_values.ts`. Everything else is refused.
 *
 * @module
 */

import { quote } from "../../../engine/mod.ts";
import { OP, opcodeName } from "./pickle_opcodes.ts";
import { NAME_LIMIT, PickleReader } from "./pickle_reader.ts";
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

/** The most values that a pickle may create: each takes memory. A 20B checkpoint has half as many. */
const VALUE_LIMIT = 2 ** 19;

/** A pickle's value, and where the pickle ends. */
export interface Unpickled {
  /** The value. */
  readonly value: PickleValue;
  /** Offset of the byte after the pickle. */
  readonly end: number;
  /** The storages it refers to, by key, including those inside opaque values. */
  readonly storages: ReadonlyMap<string, StorageRef>;
}

/**
 * Reads one pickle.
 *
 * @param bytes Bytes that contain it.
 * @param file The file's name in error messages.
 * @param start Offset of its first byte.
 * @throws {CheckpointError} `pickle-opcode` or `pickle-global`: not on the allow-list; `pickle-limit`,
 * `pickle-truncated` or `pickle-malformed`. Every message gives the byte.
 */
export function unpickle(bytes: Uint8Array, file: string, start = 0): Unpickled {
  return new Machine(new PickleReader(bytes, file, start)).run();
}

class Machine {
  readonly #in: PickleReader;
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #storages = new Map<string, StorageRef>();
  #made = 0;

  constructor(reader: PickleReader) {
    this.#in = reader;
  }

  run(): Unpickled {
    for (let op = this.#in.opcode(); op !== OP.STOP; op = this.#in.opcode()) this.#step(op);
    return { value: this.#pop(), end: this.#in.at, storages: this.#storages };
  }

  #step(op: number): void {
    switch (op) {
      case OP.PROTO: {
        const version = this.#in.u8();
        if (version < 2 || version > 5) throw this.#in.malformed(`has protocol ${version}`);
        return;
      }
      case OP.FRAME:
        return void this.#in.skip(8);
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
        return this.#push(this.#in.i32());
      case OP.BININT1:
        return this.#push(this.#in.u8());
      case OP.BININT2:
        return this.#push(this.#in.u16());
      case OP.LONG1:
        return this.#push(this.#in.long(this.#in.u8()));
      case OP.BINFLOAT:
        return this.#push(this.#in.f64());
      case OP.BINUNICODE:
      case OP.BINSTRING:
        return this.#push(this.#in.text(this.#in.u32()));
      case OP.SHORT_BINUNICODE:
      case OP.SHORT_BINSTRING:
        return this.#push(this.#in.text(this.#in.u8()));
      case OP.BINBYTES:
        return this.#push(this.#in.raw(this.#in.u32()));
      case OP.SHORT_BINBYTES:
        return this.#push(this.#in.raw(this.#in.u8()));
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
        return this.#put(this.#in.u8());
      case OP.LONG_BINPUT:
        return this.#put(this.#in.u32());
      case OP.MEMOIZE:
        return this.#put(this.#memo.size);
      case OP.BINGET:
        return this.#get(this.#in.u8());
      case OP.LONG_BINGET:
        return this.#get(this.#in.u32());
      case OP.GLOBAL:
        return this.#global(this.#in.line(), this.#in.line());
      case OP.STACK_GLOBAL: {
        const [name, module] = [this.#pop(), this.#pop()];
        if (typeof module === "string" && typeof name === "string") {
          return this.#global(module, name);
        }
        throw this.#in.malformed("has a name that is not text");
      }
      case OP.BINPERSID:
        return this.#storage();
      case OP.REDUCE:
      case OP.NEWOBJ:
        return this.#reduce(op);
      case OP.BUILD:
        return this.#build();
      default:
        throw this.#in.refuse(
          "opcode",
          `pickle opcode ${opcodeName(op)}`,
          "is not allowed in a checkpoint",
        );
    }
  }

  #global(module: string, name: string): void {
    const fullName = `${module}.${name}`;
    const global = fullName.length <= NAME_LIMIT ? findGlobal(fullName) : undefined;
    if (global) return this.#push(global);
    throw this.#in.refuse(
      "global",
      `the Python name ${quote(fullName)}`,
      "is not allowed in a checkpoint",
    );
  }

  #storage(): void {
    const storage = storageOf(this.#pop());
    if (!storage) throw this.#in.malformed("is not a reference to a storage");
    const known = this.#storages.get(storage.key) ?? storage;
    if (known.dtype !== storage.dtype || known.elements !== storage.elements) {
      throw this.#in.malformed(`describes storage ${quote(storage.key)} differently than before`);
    }
    this.#storages.set(storage.key, known);
    this.#push(storage);
  }

  #reduce(op: number): void {
    const [args, callee] = [this.#pop(), this.#pop()];
    if (!(callee instanceof Global) || !(args instanceof Tuple)) {
      throw this.#in.malformed("calls a value that is not a name");
    }
    const allowed = op === OP.REDUCE || callee.use.kind === "opaque";
    const value = allowed ? reduce(callee, args.items) : undefined;
    if (value === undefined) throw this.#in.malformed(`has wrong arguments for ${callee.name}`);
    this.#push(value);
  }

  /** Skips attributes, such as `_metadata` of a state dict: none is needed here. */
  #build(): void {
    this.#pop();
    const target = this.#top();
    if (!(target instanceof Map) && !(target instanceof Opaque)) {
      throw this.#in.malformed("sets attributes of a plain value");
    }
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#in.malformed("appends to a value that is not a list");
    for (const value of values) list.push(value);
  }

  #set(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) {
      throw this.#in.malformed("sets items of a value that is not a dict");
    }
    if (items.length % 2) throw this.#in.malformed("has a key without a value");
    for (let i = 0; i < items.length; i += 2) dict.set(items[i]!, items[i + 1]!);
  }

  #put(index: number): void {
    this.#memo.set(index, this.#top());
    if (this.#memo.size > VALUE_LIMIT) this.#tooMany();
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#in.malformed(`reads memo ${index}, which is not set`);
    this.#push(value);
  }

  #count(): void {
    if (++this.#made > VALUE_LIMIT) this.#tooMany();
  }

  #tooMany(): never {
    throw this.#in.refuse("limit", "the pickle", `has more than ${VALUE_LIMIT} values`);
  }

  #push(value: PickleValue): void {
    this.#count();
    this.#stack.push(value);
  }

  /** Returns the top of the stack, which must be above the last mark. */
  #top(): PickleValue {
    if (this.#stack.length > (this.#marks.at(-1) ?? 0)) return this.#stack.at(-1)!;
    throw this.#in.malformed("finds the stack empty");
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#in.malformed("finds no mark");
    return this.#stack.splice(mark);
  }
}
