/** Files wherever they are: small ones as a whole, and tensors with their shards. */

import {
  type ByteSource,
  FileError,
  formatBytes,
  quote,
  Safetensors,
  type TensorFile,
} from "../../engine/mod.ts";

/**
 * Reads a source that should be small, and closes it.
 *
 * @param limit The most bytes.
 * @throws {FileError} `too-large`.
 */
export async function readSmall(
  source: ByteSource,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (source.size <= limit) return await source.read(0, source.size);
  } finally {
    source.close?.();
  }
  const sizes = [source.size, limit].map(formatBytes);
  const message = `Cannot read ${quote(source.name)}: it has ${sizes[0]}, the limit is ${sizes[1]}`;
  throw new FileError("too-large", message);
}

/**
 * Opens a Safetensors file, or its shards, among files that `open` finds by their names.
 *
 * @param path `X.safetensors`; if there is none, `X.safetensors.index.json` is opened.
 * @throws {FileError | SafetensorsError} As `open`; or a rule of the format is broken.
 */
export async function openTensors(
  path: string,
  open: (path: string) => Promise<ByteSource>,
): Promise<TensorFile> {
  const openShards = async (indexPath: string) => {
    const folder = indexPath.replace(/[^/\\]*$/, "");
    return await Safetensors.openSharded(await open(indexPath), (name) => open(folder + name));
  };
  if (path.endsWith(".index.json")) return await openShards(path);
  try {
    return await Safetensors.open(await open(path));
  } catch (error) {
    if (!isMissing(error)) throw error;
    return await openShards(`${path}.index.json`).catch((indexError) => {
      // neither exists: the name that was asked for says more than that of the index
      throw isMissing(indexError) ? error : indexError;
    });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof FileError && error.code === "file-not-found";
}
