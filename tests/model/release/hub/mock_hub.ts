// A Hugging Face hub on 127.0.0.1: answers the requests of @huggingface/hub and of downloads, and can fail.
import { createHash } from "node:crypto";

/** A request for bytes of a file. */
export interface Asked {
  readonly path: string;
  readonly range: string | null;
}

/** How the hub fails for a file. */
export interface Fault {
  /** Bytes after which the connection is lost, or nothing more arrives. */
  readonly after?: number;
  /** Falls silent instead of hanging up. */
  readonly hang?: boolean;
  /** Sends a byte each so many milliseconds after that. */
  readonly drip?: number;
  /** Ignores ranges and sends the complete file. */
  readonly noRange?: boolean;
  /** Sends bytes that do not match the digest. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Answers with this status. */
  readonly status?: number;
  /** Fails only this many times. */
  times?: number;
}

/** The commit of every branch. */
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

type Content = Uint8Array<ArrayBuffer> | string;
const bytesOf = (content: Content) =>
  typeof content === "string" ? new TextEncoder().encode(content) : content;

/** Returns a file's digest, its name in the cache: text is in git, the rest in its large file storage. */
export function digestOf(content: Content): string {
  const bytes = bytesOf(content);
  return typeof content === "string"
    ? createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex")
    : createHash("sha256").update(bytes).digest("hex");
}

/** Serves repositories; files come from another origin, as with the real hub. */
export class MockHub implements AsyncDisposable {
  /** Requests for files. */
  readonly asked: Asked[] = [];
  /** The token of each request. */
  readonly tokens: (string | null)[] = [];
  /** The name of who asked last. */
  agent: string | null = null;
  /** Tokens that reached the storage, which should get none. */
  readonly leaked: string[] = [];
  /** Faults by path. */
  readonly faults = new Map<string, Fault>();
  /** Replaces the answers about repositories. */
  answer: (() => Response) | undefined;
  readonly #hub: Deno.HttpServer<Deno.NetAddr>;
  readonly #storage: Deno.HttpServer<Deno.NetAddr>;
  readonly #gone = new AbortController();

  constructor(readonly repositories: Record<string, Record<string, Content>>) {
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      signal: this.#gone.signal,
    };
    this.#hub = Deno.serve(options, (request) => this.#api(request));
    this.#storage = Deno.serve(options, (request) => this.#file(request));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // a graceful shutdown would wait for hanging connections
    this.#gone.abort();
    await Promise.all([this.#hub.finished, this.#storage.finished]);
  }

  async #api(request: Request): Promise<Response> {
    this.tokens.push(request.headers.get("authorization"));
    this.agent = request.headers.get("user-agent");
    const { pathname } = new URL(request.url);
    const path = decodeURIComponent(pathname).slice(1);
    const body = request.method === "POST" ? await request.json() : undefined;
    if (this.answer) return this.answer();
    for (const [name, files] of Object.entries(this.repositories)) {
      if (path === `api/models/${name}/revision/main`) {
        return Response.json({ _id: "0", id: name, sha: COMMIT, private: false, gated: false });
      }
      if (path === `api/models/${name}/paths-info/${COMMIT}` && body) {
        const known = (body.paths as string[]).filter((each) => Object.hasOwn(files, each));
        return Response.json(known.map((each) => this.#info(each, files[each]!)));
      }
      const start = `${name}/resolve/${COMMIT}/`;
      if (path.startsWith(start) && Object.hasOwn(files, path.slice(start.length))) {
        const location = `http://127.0.0.1:${this.#storage.addr.port}/${encodeURI(path)}`;
        return new Response(null, { status: 302, headers: { location } });
      }
    }
    return Response.json({ error: "Repository not found" }, { status: 404 });
  }

  #info(path: string, content: Content): unknown {
    const size = bytesOf(content).length;
    const oid = digestOf(content);
    const lfs = typeof content === "string" ? undefined : { oid, size, pointerSize: 134 };
    return { type: "file", path, size, oid: lfs ? "0".repeat(40) : oid, lfs };
  }

  #file(request: Request): Response {
    const token = request.headers.get("authorization");
    if (token !== null) this.leaked.push(token);
    const [owner, name, , , ...rest] = new URL(request.url).pathname.slice(1).split("/");
    const path = decodeURIComponent(rest.join("/"));
    const range = request.headers.get("range");
    this.asked.push({ path, range });
    let fault = this.faults.get(path) ?? {};
    if (fault.times !== undefined && fault.times-- <= 0) fault = {};
    if (fault.status) return new Response("no", { status: fault.status });
    const bytes = fault.bytes ?? bytesOf(this.repositories[`${owner}/${name}`]![path]!);
    const start = fault.noRange ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const left = bytes.subarray(start);
    const headers = new Headers({ "content-length": `${left.length}` });
    const ranged = range !== null && !fault.noRange;
    if (ranged) {
      headers.set("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
    }
    const body = fault.after === undefined ? left : breaking(left, fault.after, fault);
    return new Response(body, { status: ranged ? 206 : 200, headers });
  }
}

/** Sends `after` bytes, then hangs up, falls silent or drips. */
function breaking(
  bytes: Uint8Array<ArrayBuffer>,
  after: number,
  { hang, drip }: Fault,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (at < after) return controller.enqueue(bytes.slice(at, at = after));
      if (hang) return await new Promise<never>(() => {});
      // shorter than its content-length: Deno hangs up
      if (drip === undefined) return controller.close();
      await new Promise((done) => setTimeout(done, drip));
      controller.enqueue(bytes.slice(at, ++at));
    },
  });
}
