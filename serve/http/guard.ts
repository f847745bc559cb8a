/** Who may ask: the token, the Host and the Origin of requests. */

import { createHash, timingSafeEqual } from "node:crypto";
import { RequestError } from "./base/errors.ts";

/** Who may ask. */
export interface GuardOptions {
  /** What clients must send as `Authorization: Bearer TOKEN`; all may ask if absent. */
  readonly token?: string;
  /** Names, without a port, that the server may be called by, besides those of loopback and IP addresses. */
  readonly hosts?: readonly string[];
  /** Origins, such as `https://example.org`, whose pages may ask; `*` for any. */
  readonly origins?: readonly string[];
}

/** Names of loopback. */
const LOOPBACK = ["localhost", "localhost."];

/** Checks requests before anything else is done with them. */
export class Guard {
  readonly #token: Uint8Array | null;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  /** Lets those ask that `options` say. */
  constructor({ token, hosts = [], origins = [] }: GuardOptions) {
    this.#token = token === undefined ? null : digest(token);
    this.#hosts = new Set([...LOOPBACK, ...hosts.map((host) => host.toLowerCase())]);
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()));
  }

  /**
   * Checks where a request was sent to, and by which page.
   *
   * A name that is not known may be an attacker's, who lets it point here so that browsers think that this server is
   * theirs (DNS rebinding). An IP address cannot be pointed elsewhere.
   *
   * @throws {RequestError} 421, 403
   */
  checkOrigin(request: Request): void {
    const host = (request.headers.get("host") ?? new URL(request.url).host).toLowerCase();
    if (!isAddress(host) && !this.#hosts.has(nameOf(host))) {
      const message =
        "Cannot answer under this name: the server does not know that Host as its own";
      throw new RequestError(421, "unknown-host", message);
    }
    const origin = request.headers.get("origin")?.toLowerCase();
    if (origin === undefined || this.allows(origin)) return;
    if (origin === `http://${host}` || origin === `https://${host}`) return;
    const message = "Cannot answer a page of another origin: the server does not list it";
    throw new RequestError(403, "unknown-origin", message);
  }

  /** Whether pages of an origin may ask. */
  allows(origin: string): boolean {
    return this.#origins.has("*") || this.#origins.has(origin.toLowerCase());
  }

  /**
   * Checks the token, in a time that does not depend on it. It may also be the password of Basic authentication, which
   * is what clients of A1111 know.
   *
   * @throws {RequestError} 401
   */
  checkToken(request: Request): void {
    if (!this.#token) return;
    const given = tokenOf(request.headers.get("authorization") ?? "");
    if (timingSafeEqual(digest(given), this.#token)) return;
    const message =
      "Cannot answer without the server's token: send it as Authorization: Bearer TOKEN";
    throw new RequestError(401, "bad-token", message, {
      headers: { "www-authenticate": 'Bearer realm="bitwise"' },
    });
  }
}

/** Digests have equal lengths, as the comparison needs. */
function digest(text: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(text).digest());
}

function tokenOf(authorization: string): string {
  const [, scheme, rest] = /^(bearer|basic) +(\S+)\s*$/i.exec(authorization) ?? [];
  if (!scheme || !rest) return "";
  if (scheme.toLowerCase() === "bearer") return rest;
  try {
    const pair = new TextDecoder().decode(Uint8Array.fromBase64(rest));
    return pair.slice(pair.indexOf(":") + 1);
  } catch {
    return "";
  }
}

/** A Host without its port. */
function nameOf(host: string): string {
  return host.replace(/:\d{1,5}$/, "");
}

/** Whether a Host is an IP address. */
function isAddress(host: string): boolean {
  return /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])(:\d{1,5})?$/.test(host);
}
