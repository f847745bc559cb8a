/**
 * Files on a web server as sources of bytes.
 *
 * @module
 */

import {
  type ByteSource,
  bytesSource,
  checkRange,
  FileError,
  formatBytes,
  quote,
} from "../../engine/mod.ts";
import { fetchFollowing, readWhole } from "./fetch.ts";
import { DownloadError, Patience } from "./patience.ts";

/** The most bytes of a file that is read at once, if the server also sends parts of files. */
const AT_ONCE = 2 ** 28;
/** The same, if it does not. */
const LIMIT = 2 ** 31;

/** Options of {@linkcode webSource}. */
export interface WebSourceOptions {
  /** The most milliseconds to wait for the next bytes; a minute if absent. */
  readonly patience?: number;
  /** The most bytes that the file may have; any number if absent. */
  readonly limit?: number;
  /** The most bytes that are read at once; 256 MiB if absent. */
  readonly atOnce?: number;
}

/**
 * Opens a file on a web server. Small ones are read at once, larger ones range by range where the server supports it.
 *
 * @throws {FileError} `file-not-found`: the server has no such file.
 * @throws {DownloadError} The server cannot be reached, refuses, is silent or slow, or the file is too large.
 */
export async function webSource(
  url: URL,
  { patience, limit = Infinity, atOnce = AT_ONCE }: WebSourceOptions = {},
): Promise<ByteSource> {
  const name = url.href;
  using wait = new Patience(patience);
  const response = await request(url, wait);
  const size = Number(response.headers.get("content-length") ?? NaN);
  const ranges = response.headers.get("accept-ranges") === "bytes" &&
    !response.headers.has("content-encoding");
  const most = Math.min(limit, LIMIT);
  if (size > limit || (size > most && !ranges)) {
    await response.body?.cancel();
    const why = size > limit
      ? `the limit is ${formatBytes(limit)}`
      : "and the server sends no parts of files; download it first";
    const message = `Cannot read ${quote(name)}: it has ${formatBytes(size)}, ${why}`;
    throw new DownloadError("too-large", message);
  }
  if (!ranges || !(size > atOnce)) {
    return bytesSource(name, await readWhole(response, quote(name), wait, most));
  }
  await response.body?.cancel();
  const source: ByteSource = {
    name,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      if (length === 0) return new Uint8Array();
      using wait = new Patience(patience);
      const range = `${offset}-${offset + length - 1}`;
      const response = await request(url, wait, `bytes=${range}`);
      const sent = response.headers.get("content-range");
      if (response.status === 206 && sent === `bytes ${range}/${size}`) {
        return await readWhole(response, quote(name), wait, length);
      }
      await response.body?.cancel();
      throw new FileError("read-failed", `Cannot read ${quote(name)}: it changed on the server`);
    },
  };
  return source;
}

/** Whether a server has a file. */
export async function webExists(url: URL): Promise<boolean> {
  using wait = new Patience();
  const response = await request(url, wait).catch(() => null);
  await response?.body?.cancel();
  return response !== null;
}

async function request(url: URL, patience: Patience, range?: string): Promise<Response> {
  // the file's own bytes, not compressed ones
  const headers = new Headers({ "accept-encoding": "identity" });
  if (range !== undefined) headers.set("range", range);
  const what = quote(url.href);
  const response = await fetchFollowing(url, { what, patience, headers: () => headers });
  if (response.ok) return response;
  await response.body?.cancel();
  const answer = `Cannot read ${what}: the server answers ${response.status}`;
  if (response.status === 404) throw new FileError("file-not-found", `${answer}; check the URL`);
  throw new DownloadError("refused", answer);
}
