/**
 * Reads `*.safetensors.index.json`, which says which shard holds which tensor.
 *
 * @module
 */

import type { ByteSource } from "./byte_source.ts";
import { formatBytes, quote } from "../base/errors.ts";
import {
  HEADER_LIMIT,
  isObject,
  parseJsonObject,
  readExactly,
  refuseFor,
} from "./safetensors_header.ts";

/** A valid index. */
export interface ShardIndex {
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Names of the tensors of each shard by its file name, in the order of the index. */
  readonly tensorsOf: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Reads an index.
 *
 * @throws {SafetensorsError} `index-too-large`, `index-not-utf8`, `index-bad-start`,
 * `index-not-json`, `duplicate-key`, `bad-index`, `unsafe-shard-name`, `read-short`.
 */
export async function readIndex(source: ByteSource): Promise<ShardIndex> {
  const refuse = refuseFor(source.name);
  if (source.size > HEADER_LIMIT) {
    const sizes = [source.size, HEADER_LIMIT].map(formatBytes);
    throw refuse("index-too-large", `index is ${sizes[0]}, the limit is ${sizes[1]}`);
  }
  const root = parseJsonObject(await readExactly(source, 0, source.size), "index", refuse);
  if (!isObject(root.weight_map)) {
    throw refuse("bad-index", "weight_map must be an object of file names by tensor name");
  }
  const tensorsOf = new Map<string, Set<string>>();
  for (const [name, fileName] of Object.entries(root.weight_map)) {
    if (typeof fileName !== "string") {
      throw refuse("bad-index", `weight_map ${quote(name)} must be a file name`);
    }
    if (!staysInFolder(fileName)) {
      throw refuse("unsafe-shard-name", `shard ${quote(fileName)} is not a file of its folder`);
    }
    if (!tensorsOf.has(fileName)) tensorsOf.set(fileName, new Set());
    tensorsOf.get(fileName)!.add(name);
  }
  // the official metadata also has numbers (total_size): only strings are kept
  const metadata = Object.entries(isObject(root.metadata) ? root.metadata : {});
  const strings = metadata.filter((pair): pair is [string, string] => typeof pair[1] === "string");
  return { metadata: Object.fromEntries(strings), tensorsOf };
}

/** Whether a relative path, with `/`, names something inside its folder on every system, and as part of a URL. */
export function staysInFolder(path: string): boolean {
  // on Windows a colon means a drive or a stream, and a backslash separates folders
  if (/[\\:\0]/.test(path)) return false;
  return path.replace(/%2e/gi, ".").split("/").every((part) => !["", ".", ".."].includes(part));
}
