/**
 * Reads the zip archives of `torch.save`: stored entries only, with zip64 beyond 4 GB. Nothing is
 * unpacked; an entry is a range of the file.
 *
 * @module
 */

import { type ByteSource, CheckpointError, formatBytes, quote } from "../../../engine/mod.ts";

/** The largest directory; one of a thousand tensors has 0.1 MB. */
const DIRECTORY_LIMIT = 2 ** 24;
const LOCAL_HEADER = 30;

/** An entry of an archive. */
export interface ZipEntry {
  /** Its name, such as `archive/data/0`. */
  readonly name: string;
  /** Its size in bytes. */
  readonly size: number;
}

interface Entry extends ZipEntry {
  /** Offset of its local header. */
  readonly header: number;
  /** Offset of the next local header or of the directory: the entry must end before. */
  readonly limit: number;
}

/** An archive of stored entries. */
export class TorchZip {
  readonly #source: ByteSource;
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(source: ByteSource, entries: ReadonlyMap<string, Entry>) {
    this.#source = source;
    this.#entries = entries;
  }

  /**
   * Reads the directory of an archive only.
   *
   * @throws {CheckpointError} `zip-malformed`, `zip-truncated`, `zip-limit`, `zip-compressed`,
   * `zip-encrypted`, `zip-unsafe-name` or `zip-overlap`.
   */
  static async open(source: ByteSource): Promise<TorchZip> {
    const { offset, size, count } = await findDirectory(source);
    if (size > DIRECTORY_LIMIT) {
      const limit = formatBytes(DIRECTORY_LIMIT);
      throw refuse(
        source,
        "limit",
        `its directory has ${formatBytes(size)}, the limit is ${limit}`,
      );
    }
    const found = parseDirectory(source, await readView(source, offset, size), count);
    found.sort((a, b) => a.header - b.header);
    const entries = new Map<string, Entry>();
    for (const [i, { name, size, header }] of found.entries()) {
      const limit = found[i + 1]?.header ?? offset;
      // the local header repeats the name
      if (header + LOCAL_HEADER + size > limit) {
        throw refuse(source, "overlap", `entry ${quote(name)} overlaps what follows it`);
      }
      if (entries.has(name)) {
        throw refuse(source, "malformed", `two entries are named ${quote(name)}`);
      }
      entries.set(name, { name, size, header, limit });
    }
    return new TorchZip(source, entries);
  }

  /** The entries by name, in the order of their offsets. */
  get entries(): ReadonlyMap<string, ZipEntry> {
    return this.#entries;
  }

  /**
   * Returns the offset of an entry's bytes.
   *
   * @throws {CheckpointError} `zip-malformed`: the local header contradicts the directory.
   */
  async locate(name: string): Promise<number> {
    const { header, size, limit } = this.#entries.get(name)!;
    const view = await readView(this.#source, header, LOCAL_HEADER);
    const start = header + LOCAL_HEADER + view.getUint16(26, true) + view.getUint16(28, true);
    const stored = view.getUint32(0, true) === 0x04034b50 && view.getUint16(8, true) === 0;
    if (stored && start + size <= limit) return start;
    throw refuse(
      this.#source,
      "malformed",
      `the header of entry ${quote(name)} contradicts the directory`,
    );
  }
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const length = Math.min(source.size, 22 + 0xffff);
  const start = source.size - length;
  const view = await readView(source, start, length);
  let at = length - 22;
  while (at >= 0 && !isEnd(view, at)) at--;
  if (at < 0) {
    throw refuse(source, "truncated", "the zip archive has no directory; download it again");
  }
  const directory = await readZip64(source, start + at) ?? {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  };
  const { offset, size } = directory;
  if (view.getUint16(at + 4, true) !== 0 || offset + size > start + at) {
    throw refuse(source, "malformed", "the directory of the zip archive is not inside the file");
  }
  return directory;
}

function isEnd(view: DataView, at: number): boolean {
  const comment = view.byteLength - at - 22;
  return view.getUint32(at, true) === 0x06054b50 && view.getUint16(at + 20, true) === comment;
}

async function readZip64(source: ByteSource, end: number): Promise<Directory | undefined> {
  if (end < 20 + 56) return undefined;
  const locator = await readView(source, end - 20, 20);
  if (locator.getUint32(0, true) !== 0x07064b50) return undefined;
  const at = u64(locator, 8);
  const record = at <= end - 20 - 56 ? await readView(source, at, 56) : undefined;
  if (record?.getUint32(0, true) !== 0x06064b50) {
    throw refuse(
      source,
      "malformed",
      "the zip64 record of the zip archive is not where it should be",
    );
  }
  return { count: u64(record, 32), size: u64(record, 40), offset: u64(record, 48) };
}

function parseDirectory(source: ByteSource, view: DataView, count: number): Omit<Entry, "limit">[] {
  const entries: Omit<Entry, "limit">[] = [];
  const malformed = () =>
    refuse(source, "malformed", `entry ${entries.length} of the zip archive is malformed`);
  let at = 0;
  while (at < view.byteLength) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50) throw malformed();
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
      view.getUint16(at + field, true)
    );
    const next = at + 46 + nameLength! + extraLength! + commentLength!;
    if (next > view.byteLength) throw malformed();
    const name = readName(source, bytesAt(view, at + 46, nameLength!));
    const extra = new DataView(view.buffer, view.byteOffset + at + 46 + nameLength!, extraLength);
    const [size, packed, header] = readWide(extra, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]) ?? [];
    if (size === undefined || packed === undefined || header === undefined) throw malformed();
    if (flags & 0x2041) {
      throw refuse(source, "encrypted", `entry ${quote(name)} is encrypted`);
    }
    if (method !== 0 || packed !== size) {
      const advice = "PyTorch stores entries uncompressed; unpack the archive, and zip it with -0";
      throw refuse(source, "compressed", `entry ${quote(name)} is compressed; ${advice}`);
    }
    entries.push({ name, size, header });
    at = next;
  }
  if (entries.length === count) return entries;
  const detail = `the zip archive has ${entries.length} entries, its end record says ${count}`;
  throw refuse(source, "malformed", detail);
}

/** Replaces fields of all ones with those of the zip64 extra field. */
function readWide(extra: DataView, fields: readonly number[]): number[] | undefined {
  if (!fields.includes(0xffffffff)) return [...fields];
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const [id, length] = [extra.getUint16(at, true), extra.getUint16(at + 2, true)];
    const end = at + 4 + length;
    if (end > extra.byteLength) return undefined;
    if (id !== 1) {
      at = end;
      continue;
    }
    let wide = at + 4;
    const values = fields.map((value) => {
      if (value !== 0xffffffff) return value;
      wide += 8;
      return wide <= end ? u64(extra, wide - 8) : NaN;
    });
    return values.some(Number.isNaN) ? undefined : values;
  }
  return undefined;
}

function readName(source: ByteSource, bytes: Uint8Array): string {
  const name = new TextDecoder().decode(bytes);
  const parts = name.split("/");
  // deno-lint-ignore no-control-regex -- names must not contain them
  const plain = !/[\x00-\x1f\\:\ufffd]/.test(name);
  if (plain && parts.every((part) => part && part !== "." && part !== "..")) return name;
  throw refuse(source, "unsafe-name", `the zip archive has an entry named ${quote(name)}`);
}

function bytesAt(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

/** Returns infinity for a number beyond any file, so that every check fails. */
function u64(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  return Number.isSafeInteger(value) ? value : Infinity;
}

async function readView(source: ByteSource, offset: number, length: number): Promise<DataView> {
  if (!(offset + length <= source.size)) {
    throw refuse(source, "malformed", "the zip archive refers to bytes beyond its end");
  }
  const bytes = await source.read(offset, length);
  if (bytes.length === length) return new DataView(bytes.buffer, bytes.byteOffset, length);
  throw refuse(
    source,
    "truncated",
    `it returned ${bytes.length} of ${length} bytes; did the file change?`,
  );
}

function refuse(source: ByteSource, code: string, detail: string): CheckpointError {
  return new CheckpointError(`zip-${code}`, `Cannot read ${quote(source.name)}: ${detail}`);
}
