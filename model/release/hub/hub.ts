/**
 * Lists and reads the files of a repository on the Hugging Face hub. Loaded by `pull` only.
 *
 * @module
 */

import { modelInfo, pathsInfo } from "../../../deps/@huggingface/hub.ts";
import { BitwiseError, InputError, isObject, quote } from "../../../engine/mod.ts";
import { VERSION } from "../../config/version.ts";
import { fetchFollowing, readBody, readWhole } from "../../download/fetch.ts";
import { DownloadError, Patience } from "../../download/patience.ts";

/** The most bytes of an answer about a repository; one about all our files has 10 kB. */
const ANSWER_LIMIT = 10_000_000;

/** Options of a {@linkcode Hub}. */
export interface HubOptions {
  /** URL of the hub, such as `https://huggingface.co`. */
  readonly endpoint: string;
  /** Access token: sent to the endpoint, never to where it redirects. */
  readonly token?: string;
  /** What to do if the hub wants to know who asks, where there is no token. */
  readonly tokenAdvice?: string;
  /** Names who asks, after this program and its version. */
  readonly origin?: string;
  /** Stops all requests. */
  readonly signal?: AbortSignal;
  /** The most milliseconds to wait for the next bytes of a file; a minute if absent. */
  readonly patience?: number;
  /** The same for an answer about a repository; as `patience` if absent. */
  readonly answerPatience?: number;
}

/** Where the files of repositories come from. */
export interface Repositories {
  /** What to call it in messages. */
  readonly name: string;
  /** Stops all requests. */
  readonly signal?: AbortSignal;
  /** Returns the commit that a branch points to. */
  commit(repository: string): Promise<string>;
  /** Describes the files among `paths` that exist. */
  files(repository: string, commit: string, paths: readonly string[]): Promise<HubFile[]>;
  /** Reads a file from `offset`, or from its beginning. */
  read(
    repository: string,
    commit: string,
    path: string,
    offset: number,
  ): AsyncGenerator<Piece>;
  /** The error for a file that does not exist. */
  absent(repository: string, path: string): BitwiseError;
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
export class Hub implements Repositories {
  /** URL of the hub, without a final slash. */
  readonly name: string;
  /** Stops all requests. */
  readonly signal: AbortSignal | undefined;
  readonly #options: HubOptions;

  /** @throws {InputError} `bad-endpoint`, `bad-token` or `bad-value`. */
  constructor(options: HubOptions) {
    const { endpoint, token, origin, signal } = options;
    const refuse = (code: string, what: string, why: string): never => {
      throw new InputError(code, `Cannot use ${what}: ${why}`);
    };
    if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
      const what = `HF_ENDPOINT ${quote(endpoint)}`;
      refuse("bad-endpoint", what, "it must be a URL such as https://huggingface.co");
    }
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      refuse("bad-token", "HF_TOKEN", "it has characters that a token cannot have");
    }
    if (origin !== undefined && !/^[\x20-\x7e]{1,200}$/.test(origin)) {
      refuse("bad-value", "HF_HUB_USER_AGENT_ORIGIN", "it must be a short name");
    }
    this.name = endpoint.replace(/\/+$/, "");
    this.signal = signal;
    this.#options = options;
  }

  async commit(repository: string, revision = "main"): Promise<string> {
    return await this.#ask(repository, async (fetch) => {
      const question = { name: repository, revision, additionalFields: ["sha" as const] };
      const { sha } = await modelInfo({ ...question, hubUrl: this.name, fetch });
      // it will name a folder
      return isHex(sha, 40) ? sha : null;
    });
  }

  async files(repository: string, commit: string, paths: readonly string[]): Promise<HubFile[]> {
    return await this.#ask(repository, async (fetch) => {
      const question = { repo: repository, revision: commit, paths: [...paths] };
      const found: unknown[] = await pathsInfo({ ...question, hubUrl: this.name, fetch });
      const files = found.filter(isObject)
        .filter(({ type, path }) => type === "file" && paths.some((each) => each === path))
        .map(fileOf);
      return files.every((file) => file !== null) ? files : null;
    });
  }

  absent(repository: string, path: string): DownloadError {
    const message = `Cannot download ${path} of ${repository}: ${this.name} has no such file (404)`;
    return new DownloadError("not-found", message);
  }

  /** Reads a file from `offset`, or from its beginning if the server does not support ranges. */
  async *read(
    repository: string,
    commit: string,
    path: string,
    offset: number,
  ): AsyncGenerator<Piece> {
    const name = path.split("/").map(encodeURIComponent).join("/");
    const url = `${this.name}/${repository}/resolve/${commit}/${name}`;
    // the file's own bytes, not compressed ones
    const headers = new Headers({ "accept-encoding": "identity" });
    if (offset > 0) headers.set("range", `bytes=${offset}-`);
    using patience = new Patience(this.#options.patience, this.signal);
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

  /**
   * Lets the package ask through our own fetch, which throws on failures: the package sees good answers only.
   *
   * @param question Asks, and returns null if the answer makes no sense.
   */
  async #ask<T>(
    repository: string,
    question: (via: typeof fetch) => Promise<T | null>,
  ): Promise<T> {
    const { patience: forFiles, answerPatience = forFiles } = this.#options;
    using patience = new Patience(answerPatience, this.signal);
    try {
      const answer = await question(async (input, init) => {
        const url = input instanceof Request ? input.url : `${input}`;
        const response = await this.#fetch(url, init ?? {}, patience, repository);
        const what = `the answer of ${this.name} about ${repository}`;
        const body = await readWhole(response, what, patience, ANSWER_LIMIT);
        return new Response(body, { headers: response.headers });
      });
      if (answer !== null) return answer;
    } catch (error) {
      if (error instanceof BitwiseError || error === this.signal?.reason) throw error;
      throw this.#nonsense(repository, error);
    }
    throw this.#nonsense(repository);
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
      const { token, origin: who } = this.#options;
      headers.set("user-agent", `bitwise/${VERSION}${who === undefined ? "" : `; origin/${who}`}`);
      if (token !== undefined && origin === new URL(this.name).origin) {
        headers.set("authorization", `Bearer ${token}`);
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
      const { token, tokenAdvice = "set HF_TOKEN to a token of your account" } = this.#options;
      const whose = token === undefined ? `and ${tokenAdvice}` : "with the account of HF_TOKEN";
      return new DownloadError(
        "no-access",
        `${start}the hub refuses access (${status}); accept its licence at ` +
          `${this.name}/${repository} ${whose}`,
      );
    }
    if (status === 404) {
      const missing = headers.get("x-error-code") === "EntryNotFound" || what !== repository
        ? "file"
        : "repository";
      return new DownloadError(
        "not-found",
        `${start}${this.name} has no such ${missing} (404)`,
      );
    }
    const passing = status === 429 || status >= 500;
    const advice = passing ? "; try again later" : "; check HF_ENDPOINT";
    return new DownloadError("refused", `${start}the hub answers ${status}${advice}`, { passing });
  }

  #nonsense(repository: string, cause?: unknown): DownloadError {
    return new DownloadError(
      "bad-answer",
      `Cannot use the answer of ${this.name} about ${repository}: it does not look like that of a hub; check HF_ENDPOINT`,
      { cause },
    );
  }
}

/** Reads one description of a file; null if it makes no sense. */
function fileOf({ path, oid, lfs, size: small }: Record<string, unknown>): HubFile | null {
  const large = isObject(lfs) ? lfs : undefined;
  const size = large?.size ?? small;
  const digest = large?.oid ?? oid;
  const isSize = typeof size === "number" && Number.isSafeInteger(size) && size >= 0;
  if (typeof path !== "string" || !isSize || !isHex(digest, large ? 64 : 40)) return null;
  return { path, size, digest };
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === "string" && value.length === length && /^[0-9a-f]+$/.test(value);
}

function rangeStart(response: Response): number {
  return Number(/^bytes (\d{1,15})-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? -1);
}
