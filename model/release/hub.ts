/**
 * Lists and reads the files of a repository on the Hugging Face hub. Loaded by `pull` only.
 *
 * @module
 */

import { modelInfo, pathsInfo } from "../../deps/@huggingface/hub.ts";
import { BitwiseError, InputError, quote } from "../../engine/mod.ts";
import { connectionLost, fetchFollowing, readBody } from "../download/fetch.ts";
import { DownloadError, Patience } from "../download/patience.ts";

/** Options of a {@linkcode Hub}. */
export interface HubOptions {
  /** URL of the hub, such as `https://huggingface.co`. */
  readonly endpoint: string;
  /** Access token: sent to the endpoint, never to where it redirects. */
  readonly token?: string;
  /** Stops all requests. */
  readonly signal?: AbortSignal;
  /** The most milliseconds to wait for the next bytes; a minute if absent. */
  readonly patience?: number;
}

/** A file of a repository. */
export interface HubFile {
  /** Its name in the repository, with `/`. */
  readonly path: string;
  readonly size: number;
  /** SHA-256 of a large file (64 hex digits), or git's blob SHA-1 of a small one (40). */
  readonly digest: string;
}

/** Bytes of a file, and their offset in it. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The Hugging Face hub, or a mirror. */
export class Hub {
  /** URL of the hub, without a final slash. */
  readonly endpoint: string;
  /** Stops all requests. */
  readonly signal: AbortSignal | undefined;
  readonly #token: string | undefined;
  readonly #patience: number;

  /** @throws {InputError} `bad-endpoint` or `bad-token`. */
  constructor({ endpoint, token, signal, patience = 60_000 }: HubOptions) {
    if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
      throw new InputError(
        "bad-endpoint",
        `Cannot use HF_ENDPOINT ${
          quote(endpoint)
        }: it must be a URL such as https://huggingface.co`,
      );
    }
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      throw new InputError(
        "bad-token",
        "Cannot use HF_TOKEN: it has characters that a token cannot have",
      );
    }
    this.endpoint = endpoint.replace(/\/+$/, "");
    this.signal = signal;
    this.#token = token;
    this.#patience = patience;
  }

  /** Returns the commit that a branch points to. */
  async commit(repository: string, revision = "main"): Promise<string> {
    const { sha } = await this.#ask(
      repository,
      (fetch) =>
        modelInfo({
          name: repository,
          revision,
          additionalFields: ["sha"],
          hubUrl: this.endpoint,
          fetch,
        }),
    );
    // it will name a folder
    if (!/^[0-9a-f]{40}$/.test(sha)) throw this.#nonsense(repository);
    return sha;
  }

  /** Describes the files among `paths` that exist. */
  async files(repository: string, commit: string, paths: readonly string[]): Promise<HubFile[]> {
    const found = await this.#ask(
      repository,
      (fetch) =>
        pathsInfo({
          repo: repository,
          revision: commit,
          paths: [...paths],
          hubUrl: this.endpoint,
          fetch,
        }),
    );
    return found.filter(({ type, path }) => type === "file" && paths.includes(path))
      .map(({ path, oid, lfs, size: small }) => {
        const size = lfs?.size ?? small;
        const digest = lfs?.oid ?? oid ?? "";
        const known = lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/;
        if (!known.test(digest) || !Number.isSafeInteger(size) || size < 0) {
          throw this.#nonsense(repository);
        }
        return { path, size, digest };
      });
  }

  /** Reads a file from `offset`, or from its beginning if the server does not support ranges. */
  async *read(
    repository: string,
    commit: string,
    path: string,
    offset: number,
  ): AsyncGenerator<Piece> {
    const name = path.split("/").map(encodeURIComponent).join("/");
    const url = `${this.endpoint}/${repository}/resolve/${commit}/${name}`;
    // the file's own bytes, not compressed ones
    const headers = new Headers({ "accept-encoding": "identity" });
    if (offset > 0) headers.set("range", `bytes=${offset}-`);
    using patience = new Patience(this.#patience, this.signal);
    const response = await this.#fetch(url, { headers }, patience, repository, path);
    let at = response.status === 206 ? rangeStart(response) : 0;
    if (at !== 0 && at !== offset) {
      await response.body?.cancel();
      throw this.#nonsense(repository);
    }
    for await (const bytes of readBody(response, path, patience)) {
      yield { at, bytes };
      at += bytes.length;
    }
  }

  /** Lets the package ask through our own fetch, which throws on failures: the package sees good answers only. */
  async #ask<T>(repository: string, question: (via: typeof fetch) => Promise<T>): Promise<T> {
    using patience = new Patience(this.#patience, this.signal);
    try {
      return await question(async (input, init) => {
        const url = input instanceof Request ? input.url : `${input}`;
        const response = await this.#fetch(url, init ?? {}, patience, repository);
        const body = await response.arrayBuffer().catch((cause) => {
          throw patience.reason ?? connectionLost(repository, cause);
        });
        return new Response(body, { headers: response.headers });
      });
    } catch (error) {
      if (error instanceof BitwiseError || error === this.signal?.reason) throw error;
      throw this.#nonsense(repository, error);
    }
  }

  /** Fetches with the token for the endpoint, and without it for hosts that the endpoint redirects to. */
  async #fetch(
    url: string,
    init: RequestInit,
    patience: Patience,
    repository: string,
    path?: string,
  ): Promise<Response> {
    const what = path === undefined ? repository : `${path} of ${repository}`;
    const headers = ({ origin }: URL) => {
      const headers = new Headers(init.headers);
      headers.delete("authorization");
      if (this.#token !== undefined && origin === new URL(this.endpoint).origin) {
        headers.set("authorization", `Bearer ${this.#token}`);
      }
      return headers;
    };
    const response = await fetchFollowing(url, { what, patience, init, headers });
    if (response.ok) return response;
    await response.body?.cancel();
    throw this.#refusal(response, repository, what);
  }

  #refusal({ status, headers }: Response, repository: string, what: string): DownloadError {
    const start = `Cannot download ${what}: `;
    if (status === 401 || status === 403) {
      const whose = this.#token === undefined
        ? "and set HF_TOKEN to a token of your account"
        : "with the account of HF_TOKEN";
      return new DownloadError(
        "no-access",
        `${start}the hub refuses access (${status}); accept its licence at ` +
          `${this.endpoint}/${repository} ${whose}`,
      );
    }
    if (status === 404) {
      const missing = headers.get("x-error-code") === "EntryNotFound" || what !== repository
        ? "file"
        : "repository";
      return new DownloadError(
        "not-found",
        `${start}${this.endpoint} has no such ${missing} (404)`,
      );
    }
    const passing = status === 429 || status >= 500;
    const advice = passing ? "; try again later" : "; check HF_ENDPOINT";
    return new DownloadError("refused", `${start}the hub answers ${status}${advice}`, { passing });
  }

  #nonsense(repository: string, cause?: unknown): DownloadError {
    return new DownloadError(
      "bad-answer",
      `Cannot use the answer of ${this.endpoint} about ${repository}: it does not look like that of a hub; check HF_ENDPOINT`,
      { cause },
    );
  }
}

function rangeStart(response: Response): number {
  return Number(/^bytes (\d{1,15})-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? -1);
}
