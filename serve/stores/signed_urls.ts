import { createHmac, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";

/** A key that follows from a secret, slowly, so that no URL helps to guess the secret. */
export function keyOf(secret: string): Uint8Array {
  return new Uint8Array(scryptSync(secret, "bitwise files", 32));
}

/**
 * Signs the names of stored files, so that a URL can be handed out that reads one file until a given time, for stores
 * that cannot do so themselves. The signature is HMAC-SHA256 over the name and the time.
 */
export class SignedUrls {
  readonly #key: Uint8Array;

  /**
   * Signs with a key of its own, so that URLs end with the process, or with one that is shared.
   *
   * @param now The clock in milliseconds.
   */
  constructor(key?: Uint8Array, private readonly now: () => number = Date.now) {
    this.#key = key ?? randomBytes(32);
  }

  /** Returns `NAME?expires=…&signature=…`, to follow the path of the route that serves files. */
  sign(name: string, seconds: number): string {
    const expires = `${Math.floor(this.now() / 1000) + seconds}`;
    const signature = this.#signature(name, expires).toString("base64url");
    return `${name}?${new URLSearchParams({ expires, signature })}`;
  }

  /** Whether a URL's query was signed for that name and is still valid; takes the same time however wrong it is. */
  check(name: string, query: URLSearchParams): boolean {
    const expires = query.get("expires") ?? "";
    const given = query.get("signature") ?? "";
    if (!/^\d{1,12}$/.test(expires) || !/^[\w-]{43}$/.test(given)) return false;
    const equal = timingSafeEqual(
      new Uint8Array(this.#signature(name, expires)),
      Uint8Array.fromBase64(given, { alphabet: "base64url" }),
    );
    return equal && this.now() < Number(expires) * 1000;
  }

  #signature(name: string, expires: string) {
    return createHmac("sha256", this.#key).update(`${expires}\n${name}`).digest();
  }
}
