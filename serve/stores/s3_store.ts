import { AwsClient } from "../../deps/aws4fetch.ts";
import { FileError, formatBytes, quote } from "../../engine/mod.ts";
import { checkName } from "./names.ts";
import type { S3Place } from "./s3_place.ts";
import { MAX_FILE, type Store } from "./store.ts";

/** Times that a request is tried. */
const TRIES = 4;
/** The most seconds for which a URL can be signed: S3 allows a week. */
const LONGEST = 604_800;

/** How long a store is waited for, in milliseconds. */
export interface StorePatience {
  /** For one try. */
  readonly timeout: number;
  /** Before the second try; twice as long before each further one. */
  readonly pause: number;
}

/** Keeps files in a bucket of S3, or of what speaks as S3 does. */
export class S3Store implements Store {
  readonly #client: AwsClient;

  /** Opens nothing yet. */
  constructor(
    private readonly place: S3Place,
    private readonly patience: StorePatience = { timeout: 30_000, pause: 250 },
  ) {
    const { accessKeyId, secretAccessKey, sessionToken, region } = place;
    this.#client = new AwsClient({
      accessKeyId,
      secretAccessKey,
      sessionToken,
      region,
      service: "s3",
    });
  }

  /** Uploads a file. @throws {InputError} @throws {FileError} `store-refused`, `store-unreachable` */
  async put(name: string, bytes: Uint8Array<ArrayBuffer>, type: string): Promise<void> {
    const headers = {
      "content-type": type,
      "x-amz-content-sha256": new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex(),
    };
    const response = await this.#request("write", name, { method: "PUT", body: bytes, headers });
    await response.body?.cancel();
  }

  /** Downloads a file. @throws As {@link S3Store.put}; {@link FileError} `too-large` */
  async get(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const response = await this.#request("read", name, { method: "GET" });
    if (response.status === 404) return await response.body?.cancel(), null;
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    try {
      for await (const piece of response.body ?? []) {
        size += piece.length;
        if (size > MAX_FILE) {
          throw this.#error("read", name, `it has over ${formatBytes(MAX_FILE)}`);
        }
        pieces.push(piece);
      }
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      throw this.#error("read", name, "the connection was lost; try again", cause);
    }
    return new Uint8Array(await new Blob(pieces).arrayBuffer());
  }

  /** Asks for a file's head. @throws As {@link S3Store.put} */
  async has(name: string): Promise<boolean> {
    return (await this.#request("look up", name, { method: "HEAD" })).status !== 404;
  }

  /** Signs a URL of at most a week. @throws {InputError} */
  async url(name: string, seconds: number): Promise<string> {
    const url = this.#url(name);
    url.searchParams.set("X-Amz-Expires", `${Math.max(1, Math.min(LONGEST, Math.floor(seconds)))}`);
    return (await this.#client.sign(url, { aws: { signQuery: true } })).url;
  }

  #url(name: string): URL {
    checkName(name);
    return new URL(`${this.place.address}/${this.place.prefix}${name}`);
  }

  /** Asks until there is an answer that another try would not change. */
  async #request(verb: string, name: string, init: RequestInit): Promise<Response> {
    const url = this.#url(name);
    for (let pause = this.patience.pause, left = TRIES - 1;; pause *= 2, left--) {
      const last = await this.#try(url, init);
      if (last instanceof Response) {
        if (last.ok || (last.status === 404 && init.method !== "PUT")) return last;
        const passing = last.status >= 500 || last.status === 429;
        if (passing && left > 0) await last.body?.cancel();
        else throw this.#error(verb, name, await reasonOf(last));
      } else if (left === 0) throw this.#error(verb, name, whyUnreachable(last), last);
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
    }
  }

  /** One try: the answer, or why there was none. */
  async #try(url: URL, init: RequestInit): Promise<Response | Error> {
    // signed anew each time: a signature is valid for minutes
    const request = await this.#client.sign(url, init);
    const signal = AbortSignal.timeout(this.patience.timeout);
    return await fetch(request, { signal, redirect: "manual" }).catch((error: Error) => error);
  }

  #error(verb: string, name: string, why: string, cause?: unknown): FileError {
    const { address, prefix } = this.place;
    const message = `Cannot ${verb} ${quote(`${prefix}${name}`)} in ${address}: ${why}`;
    const code = cause ? "store-unreachable" : "store-refused";
    return new FileError(code, message, { cause });
  }
}

/** What to do about the codes that S3 replies with. */
const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied: "check what the keys may do",
  InvalidAccessKeyId: "check AWS_ACCESS_KEY_ID",
  SignatureDoesNotMatch: "check AWS_SECRET_ACCESS_KEY and the region",
  AuthorizationHeaderMalformed: "check the region",
  RequestTimeTooSkewed: "set the clock of this machine",
  NoSuchBucket: "make the bucket, or check its name",
};

/** What a refusal says: its status, and the code in its XML. */
async function reasonOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  const code = /<Code>(\w{1,60})<\/Code>/.exec(text.slice(0, 10_000))?.[1];
  const advice = code && Object.hasOwn(ADVICE, code) ? `; ${ADVICE[code]}` : "";
  return `it replied ${response.status}${code ? ` ${code}` : ""}${advice}`;
}

function whyUnreachable(error: Error): string {
  if (error.name === "TimeoutError") return "it does not reply; check the connection";
  const { message } = error.cause instanceof Error ? error.cause : error;
  // the last part of a chain says why
  const why = message.split("\n")[0]!.split(": ").at(-1)!.replace(/ \(os error \d+\)$/, "");
  return `${why}; check the endpoint and the connection`;
}
