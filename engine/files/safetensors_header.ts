/**
 * Parses Safetensors headers. Each rule of the format has an error code of its own.
 *
 * @module
 */

import type { ByteSource } from "./byte_source.ts";
import { type Dtype, dtypeBytes, DTYPES, isDtype } from "./dtype.ts";
import { formatBytes, quote, SafetensorsError } from "../base/errors.ts";

/** The longest header that the format allows, in bytes. */
export const HEADER_LIMIT = 100_000_000;

/** The most dimensions of a tensor, as in NumPy and PyTorch. */
const MOST_DIMENSIONS = 64;

/** An entry of a header: one tensor. */
export interface HeaderEntry {
  /** Name, unique in the file. */
  readonly name: string;
  /** Type of the elements. */
  readonly dtype: Dtype;
  /** Sizes of the dimensions, outermost first; empty for a single number. */
  readonly shape: readonly number[];
  /** Offset of the first byte, counted from the end of the header. */
  readonly begin: number;
  /** Offset of the byte after the last one, counted from the end of the header. */
  readonly end: number;
}

/** A valid header. */
export interface Header {
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors in the order of their bytes. */
  readonly entries: readonly HeaderEntry[];
}

/** Makes the error of a broken rule, whose message names the file. */
export type Refuse = (code: string, detail: string, cause?: unknown) => SafetensorsError;

/** Returns the {@linkcode Refuse} of a file. */
export function refuseFor(fileName: string): Refuse {
  return (code, detail, cause) =>
    new SafetensorsError(code, `Cannot read ${quote(fileName)}: ${detail}`, { cause });
}

/**
 * Parses a header.
 *
 * @param bytes The JSON text, without its length prefix.
 * @param dataBytes The bytes of the file after the header.
 * @param fileName Name of the file in error messages.
 * @throws {SafetensorsError} The header breaks a rule; the code says which.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, fileName: string): Header {
  const refuse = refuseFor(fileName);
  const root = parseJsonObject(bytes, "header", refuse);
  const { __metadata__: metadata, ...tensors } = root;
  const entries = Object.entries(tensors)
    .map(([name, value]) => parseEntry(name, value, dataBytes, refuse))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, dataBytes, refuse);
  return { metadata: parseMetadata(metadata, refuse), entries };
}

/**
 * Parses UTF-8 bytes that must be one JSON object without duplicate keys at any depth.
 *
 * @param bytes The UTF-8 text.
 * @param what What the text is; error codes begin with it.
 * @param refuse Makes the errors.
 */
export function parseJsonObject(
  bytes: Uint8Array,
  what: "header" | "index",
  refuse: Refuse,
): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw refuse(`${what}-not-utf8`, `the ${what} is not valid UTF-8; download it again`, cause);
  }
  if (text[0] !== "{") {
    throw refuse(`${what}-bad-start`, `the ${what} does not start with "{"; check the file format`);
  }
  let root: Record<string, unknown>;
  try {
    root = JSON.parse(text);
  } catch (cause) {
    throw refuse(`${what}-not-json`, `the ${what} is not valid JSON; download it again`, cause);
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) {
    throw refuse("duplicate-key", `the ${what} has the key ${quote(twice)} twice; keep one`);
  }
  return root;
}

/**
 * Reads a range, and checks that it is complete: a file can shrink after it was opened.
 *
 * @throws {SafetensorsError} `read-short`: the source returned fewer bytes.
 */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  into?: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(offset, length, into);
  if (bytes.length === length) return bytes;
  const detail =
    `it returned ${bytes.length} of ${length} bytes at ${offset}; did the file change?`;
  throw refuseFor(source.name)("read-short", detail);
}

/** Returns the number of elements of a shape; undefined if it is not a shape, or too large to count exactly. */
export function countElements(shape: unknown): number | undefined {
  if (!Array.isArray(shape) || shape.length > MOST_DIMENSIONS) return undefined;
  let count = 1;
  for (const size of shape) {
    if (!isCount(size)) return undefined;
    count *= size;
    if (!isCount(count)) return undefined;
  }
  return count;
}

/** Whether a value is a plain JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseEntry(name: string, value: unknown, dataBytes: number, refuse: Refuse): HeaderEntry {
  const tensor = `tensor ${quote(name)}`;
  if (!isObject(value)) {
    throw refuse("bad-entry", `${tensor} must be an object with dtype, shape and data_offsets`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    const got = typeof dtype === "string" ? quote(dtype) : "of another kind";
    throw refuse("unknown-dtype", `${tensor} has dtype ${got}; use one of ${DTYPES.join(", ")}`);
  }
  const elements = countElements(shape);
  const bytes = elements === undefined ? NaN : elements * dtypeBytes(dtype);
  if (!Number.isSafeInteger(bytes)) {
    throw refuse(
      "bad-shape",
      `${tensor} must have a shape of at most ${MOST_DIMENSIONS} whole numbers, below 2^53 bytes`,
    );
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw refuse("bad-offsets", `${tensor} must have data_offsets of two whole numbers`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) {
    throw refuse("bad-offsets", `${tensor} begins at byte ${begin} but ends at byte ${end}`);
  }
  if (end > dataBytes) {
    throw refuse(
      "offsets-out-of-range",
      `${tensor} ends at byte ${end} of the data, but the file holds ${dataBytes}; ` +
        "download it again",
    );
  }
  if (end - begin !== bytes) {
    throw refuse(
      "size-mismatch",
      `${tensor} has ${end - begin} bytes, but ${dtype} [${
        (shape as number[]).slice(0, 8)
      }] takes ${bytes}`,
    );
  }
  return { name, dtype, shape: shape as number[], begin, end };
}

/** Checks that tensors follow each other and cover all data, so that nothing is hidden or shared. */
function checkCoverage(entries: readonly HeaderEntry[], dataBytes: number, refuse: Refuse): void {
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (begin < covered) {
      throw refuse("overlap", `tensor ${quote(name)} overlaps the tensor before it`);
    }
    if (begin > covered) {
      throw refuse("hole", `no tensor owns the ${begin - covered} bytes before ${quote(name)}`);
    }
    covered = end;
  }
  if (covered < dataBytes) {
    const rest = formatBytes(dataBytes - covered);
    throw refuse("trailing-bytes", `no tensor owns the last ${rest} of the file`);
  }
}

function parseMetadata(value: unknown, refuse: Refuse): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = Object.create(null);
  if (value === undefined) return metadata;
  if (!isObject(value)) throw refuse("bad-metadata", "__metadata__ must be an object of strings");
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw refuse("bad-metadata", `__metadata__ ${quote(key)} must be a string`);
    }
    metadata[key] = text;
  }
  return metadata;
}

/** Finds what JSON.parse() silently drops: the first of two equal keys. `json` must be valid. */
function findDuplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === "{") open.push(new Set());
    else if (char === "}") open.pop();
    if (char !== '"') continue;

    const start = i++;
    while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
    let next = i + 1;
    while (" \t\n\r".includes(json[next])) next++;
    if (json[next] !== ":") continue;
    const key: string = JSON.parse(json.slice(start, i + 1)); // "a" and "\u0061" are one key
    const keys = open[open.length - 1];
    if (keys.has(key)) return key;
    keys.add(key);
  }
  return undefined;
}
