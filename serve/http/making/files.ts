/** Results behind URLs that expire. */

import type { Store } from "../../stores/store.ts";
import { RequestError } from "../base/errors.ts";

/** Signs the names of files. */
export interface UrlSigner {
  /** Returns `NAME?…`, with a signature that holds for so many seconds. */
  sign(name: string, seconds: number): string;
  /** Whether a query was signed for that name and is still valid. */
  check(name: string, query: URLSearchParams): boolean;
}

/** Where results are kept. */
export interface FilesOptions {
  readonly store: Store;
  /** Signs URLs of stores that cannot; its queries have the time of their end in `expires`, in seconds since 1970. */
  readonly urls: UrlSigner;
}

/** How files are called that are not images. */
const UNKNOWN = "application/octet-stream";
/** Media types of what is kept, by the end of its name. */
const TYPES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpeg: "image/jpeg",
  webp: "image/webp",
};

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
      await store.put(name, bytes, TYPES[format] ?? UNKNOWN);
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
    const type = TYPES[name.split(".").at(-1)!] ?? UNKNOWN;
    return new Response(bytes, { headers: { "content-type": type } });
  }
}

/** Why there is no file. */
export type FileProblem = "expired" | "unsigned" | "absent";
