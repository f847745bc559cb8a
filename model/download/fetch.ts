/**
 * Requests that follow redirects, never ask for permission, and give up on silent servers.
 *
 * @module
 */

import { formatBytes, mayUse } from "../../engine/mod.ts";
import { DownloadError, type Patience } from "./patience.ts";

const REDIRECTS = [301, 302, 303, 307, 308];
const HOPS = 8;

/** What a request needs besides its URL. */
export interface FetchOptions {
  /** What is downloaded, for messages. */
  readonly what: string;
  readonly patience: Patience;
  /** Method and body; see {@linkcode FetchOptions.headers}. */
  readonly init?: RequestInit;
  /** Headers for a URL: a token must not follow a redirect to another host. */
  readonly headers?: (url: URL) => Headers;
}

/**
 * Fetches a URL. Redirects are followed here, since each host needs permission and headers of its own.
 *
 * @returns The first answer that is not a redirect, whatever its status.
 * @throws {DownloadError} `no-permission` (hint `allow-net`), `unreachable`, `stalled` or `bad-answer`.
 * @throws The user's reason, if the patience's signal was aborted.
 */
export async function fetchFollowing(
  from: string | URL,
  { what, patience, init, headers }: FetchOptions,
): Promise<Response> {
  let url = new URL(from);
  for (let hop = 0; hop < HOPS; hop++) {
    checkPermission(url, what);
    const { signal } = patience;
    patience.renew();
    const request = { ...init, ...headers && { headers: headers(url) }, signal };
    const response = await fetch(url, { ...request, redirect: "manual" }).catch((cause) => {
      throw patience.reason ?? unreachable(url, cause);
    });
    const next = REDIRECTS.includes(response.status) &&
      URL.parse(response.headers.get("location") ?? "", url);
    if (!next || !/^https?:$/.test(next.protocol)) return response;
    await response.body?.cancel();
    url = next;
  }
  const message = `Cannot download ${what}: the server redirects in circles`;
  throw new DownloadError("bad-answer", message);
}

/**
 * Reads the body of a response, piece by piece.
 *
 * @throws {DownloadError} `connection-lost`, `stalled` or `too-slow`.
 * @throws The user's reason, if the patience's signal was aborted.
 */
export async function* readBody(
  response: Response,
  what: string,
  patience: Patience,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = (response.body ?? new Blob().stream()).getReader();
  try {
    while (true) {
      patience.renew();
      const { value, done } = await reader.read().catch((cause) => {
        throw patience.reason ?? connectionLost(what, cause);
      });
      if (done) return;
      // stops the time: a slow disk is not a slow server
      patience.received(value.length);
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * Reads the complete body of a response, whatever size it claims, or unpacks to.
 *
 * @param limit The most bytes.
 * @throws {DownloadError} `too-large`, or as {@linkcode readBody}.
 */
export async function readWhole(
  response: Response,
  what: string,
  patience: Patience,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of readBody(response, what, patience)) {
    size += piece.length;
    if (size > limit) {
      const message = `Cannot use ${what}: the server sends more than ${formatBytes(limit)}`;
      throw new DownloadError("too-large", message);
    }
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** The error for a connection that ended too soon. */
export function connectionLost(what: string, cause?: unknown): DownloadError {
  const message = `Cannot download ${what}: the connection was lost; run it again to continue`;
  return new DownloadError("connection-lost", message, { cause, passing: true });
}

/** Does not ask: a prompt would have to be answered for every host. */
function checkPermission({ protocol, hostname, port }: URL, what: string): void {
  const host = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
  if (mayUse({ name: "net", host })) return;
  const message = `Cannot download ${what}: Deno was not allowed to reach ${cut(hostname)}`;
  throw new DownloadError("no-permission", message, { hint: "allow-net" });
}

function unreachable({ origin }: URL, cause: unknown): DownloadError {
  const message = `Cannot reach ${cut(origin)}: ${
    detail(cause)
  }; check the connection, then run it again`;
  return new DownloadError("unreachable", message, { cause, passing: true });
}

/** The last part of `error sending request (…): client error (Connect): …: Connection refused`, which says why. */
function detail(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.split("\n")[0]!.split(": ").at(-1)!.replace(/ \(os error \d+\)$/, "");
}

/** A name that a server chose. */
function cut(name: string): string {
  return name.length > 100 ? `${name.slice(0, 99)}…` : name;
}
