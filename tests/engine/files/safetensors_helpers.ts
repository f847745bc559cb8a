import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ByteSource, bytesSource } from "../../../engine/files/byte_source.ts";
import { SafetensorsError } from "../../../engine/base/errors.ts";
import { Safetensors } from "../../../engine/files/safetensors.ts";

/** An entry of eight bytes. */
export const F32x2 = { dtype: "F32", shape: [2], data_offsets: [0, 8] };

/** Encodes a file: the length, the header as given, the data. */
export function build(
  header: unknown,
  dataBytes = 0,
  headerBytes?: bigint,
): Uint8Array<ArrayBuffer> {
  const text = header instanceof Uint8Array
    ? header
    : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, headerBytes ?? BigInt(text.length), true);
  file.set(text, 8);
  for (let i = 0; i < dataBytes; i++) file[8 + text.length + i] = i;
  return file;
}

/** Opens bytes as model.safetensors. */
export function open(bytes: Uint8Array): Promise<Safetensors> {
  return Safetensors.open(bytesSource("model.safetensors", bytes));
}

/** Asserts a typed error of one line. */
export async function refuses(
  file: Promise<unknown>,
  code: string,
  message: string,
): Promise<void> {
  const error = await assertRejects(() => file, SafetensorsError, message);
  assertEquals(error.code, code);
  assertEquals(error.name, "SafetensorsError");
  assert(/^Cannot read "[^\n]*[^.\n]$/.test(error.message), error.message);
}

/** A source of bytes that counts what is read and how many times it is closed. */
export class Spy implements ByteSource {
  readonly name: string;
  readonly size: number;
  bytesRead = 0;
  longest = 0;
  closed = 0;
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array, size = bytes.length, name = "spy") {
    this.#bytes = bytes;
    this.size = size;
    this.name = name;
  }

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    assert(offset + length <= this.size, "read beyond the end");
    this.bytesRead += length;
    this.longest = Math.max(this.longest, length);
    return Promise.resolve(new Uint8Array(this.#bytes.subarray(offset, offset + length)));
  }

  close(): void {
    this.closed++;
  }
}
