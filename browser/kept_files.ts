/** Files of models in Cache Storage, which another visit finds again. */

import { FileError, quote } from "../engine/mod.ts";

/** The name of the cache. */
const CACHE = "bitwise-models";
/** The header of a kept file that says which version of it was downloaded. */
const VERSION = "x-bitwise-version";

/** What a server says of a file. */
export interface FileOffer {
  /** Bytes; 0 if the server does not say. */
  readonly size: number;
  /** What changes with the file: its entity tag, or its time and size. */
  readonly version: string;
}

/** The file of a URL that is kept; null if there is none. */
export async function keptFile(url: string): Promise<Response | null> {
  return await (await caches.open(CACHE)).match(url) ?? null;
}

/** The size of a kept file; null if none is kept, or if it is another version than the server's. */
export async function keptSize(url: string, offer: FileOffer | null): Promise<number | null> {
  const kept = await keptFile(url);
  if (!kept || (offer && kept.headers.get(VERSION) !== offer.version)) return null;
  await kept.body?.cancel();
  return Number(kept.headers.get("content-length"));
}

/**
 * Asks a server for a file's size and version.
 *
 * @returns Null if it has no such file; `"unreachable"` if it does not answer.
 * @throws {FileError} `file-unreadable`: it refuses.
 */
export async function askServer(
  url: string,
  signal?: AbortSignal,
): Promise<FileOffer | null | "unreachable"> {
  const init = { method: "HEAD", cache: "no-cache", signal } as const;
  const response = await fetch(url, init).catch(() => null);
  signal?.throwIfAborted();
  if (!response) return "unreachable";
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok) throw refused(url, response);
  const { headers } = response;
  const size = Number(headers.get("content-length") ?? 0);
  return { size, version: headers.get("etag") ?? `${headers.get("last-modified")} ${size}` };
}

/**
 * Downloads a file, and keeps it once all of it is here.
 *
 * @param onBytes Called with the number of bytes that came.
 * @throws {FileError} `file-unreadable`: the server refuses; `connection-lost`; `no-room`: the browser keeps no more.
 */
export async function keepFile(
  url: string,
  { version }: FileOffer,
  onBytes: (count: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const response = await fetch(url, { cache: "no-store", signal }).catch((cause) => {
    signal?.throwIfAborted();
    throw new FileError("connection-lost", `Cannot download ${quote(url)}: ${cause.message}`);
  });
  if (!response.ok || !response.body) throw refused(url, response);
  let size = 0;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  // to a blob, which a browser may lay on its disk, and not to the cache at once: its entry wants the size first
  let joined = new Blob();
  try {
    for await (const piece of response.body) {
      pieces.push(piece);
      size += piece.length;
      onBytes(piece.length);
      if (pieces.length >= 256) joined = new Blob([joined, ...pieces.splice(0)]);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const message = `Cannot download ${quote(url)}: the connection was lost; try again`;
    throw new FileError("connection-lost", message, { cause });
  }
  const headers = { "content-length": `${size}`, [VERSION]: version };
  const whole = new Response(new Blob([joined, ...pieces]), { headers });
  await (await caches.open(CACHE)).put(url, whole).catch((cause) => {
    const message = `Cannot keep ${quote(url)}: the browser gives no room for ${size} bytes; ` +
      "free some, or leave its private window";
    throw new FileError("no-room", message, { cause });
  });
}

function refused(url: string, { status, statusText }: Response): FileError {
  const said = `${status} ${statusText}`.trim();
  return new FileError("file-unreadable", `Cannot download ${quote(url)}: the server says ${said}`);
}
