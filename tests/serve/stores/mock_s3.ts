import { createHash, createHmac } from "node:crypto";

/** The keys that {@link MockS3} knows. */
export const KEYS = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCY",
};
const REGION = "eu-test-1";

/** A small S3 on loopback, which computes every signature by itself, from AWS's description of version 4. */
export class MockS3 {
  /** Files by the path of their URL. */
  readonly files: Map<string, { bytes: Uint8Array<ArrayBuffer>; type: string }> = new Map();
  /** Methods and paths that were asked for. */
  readonly asked: string[] = [];
  /** Answers to give first, in place of what is right. */
  readonly faults: Response[] = [];
  /** The clock in milliseconds. */
  now: () => number = Date.now;
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => this.#answer(request),
  );

  /** The address of the server. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.asked.push(`${request.method} ${url.pathname}`);
    const fault = this.faults.shift();
    const body = new Uint8Array(await request.arrayBuffer());
    if (fault) return fault;
    const refused = url.searchParams.has("X-Amz-Signature")
      ? this.#refuseUrl(request, url)
      : refuseHeaders(request, url, body);
    if (refused) return denied(403, refused);
    const file = this.files.get(url.pathname);
    if (request.method === "PUT") {
      this.files.set(url.pathname, {
        bytes: body,
        type: request.headers.get("content-type") ?? "",
      });
      return new Response();
    }
    if (!file) return denied(404, "NoSuchKey");
    return new Response(request.method === "HEAD" ? null : file.bytes);
  }

  #refuseUrl(request: Request, url: URL): string | undefined {
    const query = url.searchParams;
    const signature = query.get("X-Amz-Signature");
    const date = query.get("X-Amz-Date") ?? "";
    query.delete("X-Amz-Signature");
    const began = Date.parse(date.replace(/(....)(..)(..T..)(..)(..Z)/, "$1-$2-$3:$4:$5"));
    if (this.now() > began + Number(query.get("X-Amz-Expires")) * 1000) return "AccessDenied";
    const credential = query.get("X-Amz-Credential") ?? "";
    const signed = query.get("X-Amz-SignedHeaders") ?? "";
    const expected = sign(request, url, date, credential, signed, "UNSIGNED-PAYLOAD");
    return signature === expected ? undefined : "SignatureDoesNotMatch";
  }

  /** Stops the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function refuseHeaders(request: Request, url: URL, body: Uint8Array): string | undefined {
  const [, credential = "", signed = "", signature] = new RegExp(
    "^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$",
  ).exec(request.headers.get("authorization") ?? "") ?? [];
  if (!credential.startsWith(`${KEYS.accessKeyId}/`)) return "InvalidAccessKeyId";
  const hash = request.headers.get("x-amz-content-sha256") ?? "";
  const isHash = hash === createHash("sha256").update(body).digest("hex");
  if (request.method === "PUT" && !isHash) return "XAmzContentSHA256Mismatch";
  const date = request.headers.get("x-amz-date") ?? "";
  const expected = sign(request, url, date, credential, signed, hash);
  return signature === expected ? undefined : "SignatureDoesNotMatch";
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function sign(
  { method, headers }: Request,
  url: URL,
  date: string,
  credential: string,
  signed: string,
  hash: string,
): string {
  const encode = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  const canonical = [
    method,
    url.pathname,
    [...url.searchParams].map((pair) => pair.map(encode).join("=")).sort().join("&"),
    ...signed.split(";").map((name) => `${name}:${headers.get(name)?.trim()}`),
    "",
    signed,
    hash,
  ].join("\n");
  const scope = credential.split("/").slice(1);
  const text = [
    "AWS4-HMAC-SHA256",
    date,
    scope.join("/"),
    createHash("sha256").update(canonical).digest("hex"),
  ].join("\n");
  const mac = (key: string | Uint8Array, data: string) =>
    createHmac("sha256", key).update(data).digest();
  const key = [date.slice(0, 8), REGION, "s3", "aws4_request"].reduce<string | Uint8Array>(
    (key, part) => new Uint8Array(mac(key, part)),
    `AWS4${KEYS.secretAccessKey}`,
  );
  return mac(key, text).toString("hex");
}

/** An answer that refuses, as S3 writes it. */
export function denied(status: number, code: string): Response {
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
  return new Response(xml, { status, headers: { "content-type": "application/xml" } });
}
