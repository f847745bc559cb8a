/** Results behind URLs that expire. */

import type { SignedUrls } from "../../stores/signed_urls.ts";
import type { Store } from "../../stores/store.ts";
import { RequestError } from "../base/errors.ts";
import { mediaTypeOf } from "../base/media_type.ts";

/** Where results are kept. */
export interface FilesOptions {
  readonly store: Store;
  /** Signs URLs of stores that cannot. */
  readonly urls: SignedUrls;
}

/** Keeps results, and hands them out again. */
export class Files {
  /** Keeps results for `seconds` at least. */
  constructor(private readonly options: FilesOptions, private readonly seconds: number) {}

  /**
   * Keeps an image; returns its URL.
   *
   * @param origin Of the server, as its client knows it.
   * @throws {RequestError} 500: the store failed.
   */
  async keep(bytes: Uint8Array<ArrayBuffer>, format: string, origin: string): Promise<string> {
    const { store, urls } = this.options;
    const name = `${crypto.randomUUID()}.${format}`;
    try {
      await store.put(name, bytes, mediaTypeOf(name));
    } catch (cause) {
      throw new RequestError(500, "not-stored", "Cannot keep the image: the store failed", {
        cause,
      });
    }
    return await store.url?.(name, this.seconds) ??
      `${origin}/files/${urls.sign(name, this.seconds)}`;
  }

  /** Answers a request for a file. */
  async answer(name: string, query: URLSearchParams): Promise<Response | FileProblem> {
    const { store, urls } = this.options;
    if (!urls.check(name, query)) {
      const expires = Number(query.get("expires") ?? Infinity);
      return expires * 1000 < Date.now() ? "expired" : "unsigned";
    }
    const bytes = await store.get(name);
    if (!bytes) return "absent";
    return new Response(bytes, { headers: { "content-type": mediaTypeOf(name) } });
  }
}

/** Why there is no file. */
export type FileProblem = "expired" | "unsigned" | "absent";
