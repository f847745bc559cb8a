/** Requests over plain sockets, which may do what `fetch()` forbids. */

/** An answer. */
export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends a request's head and body, and reads the answer to its end. */
export async function rawRequest(
  port: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = "",
): Promise<RawAnswer> {
  const lines = Object.entries({ connection: "close", ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  const length = body ? `content-length: ${body.length}\r\n` : "";
  using socket = await openSocket(port);
  await send(socket, `${method} ${path} HTTP/1.1\r\n${lines.join("")}${length}\r\n${body}`);
  return await readAnswer(socket);
}

/** Connects. */
export async function openSocket(port: number): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port });
}

/** Sends text. */
export async function send(socket: Deno.TcpConn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}

/** Reads an answer that says how long it is, or to the end. */
export async function readAnswer(socket: Deno.TcpConn): Promise<RawAnswer> {
  const decoder = new TextDecoder();
  let text = "";
  const chunk = new Uint8Array(65536);
  for (;;) {
    const answer = parse(text);
    if (Number(answer.headers["content-length"] ?? Infinity) <= answer.body.length) return answer;
    const n = await socket.read(chunk);
    if (n === null) return answer;
    text += decoder.decode(chunk.subarray(0, n), { stream: true });
  }
}

function parse(text: string): RawAnswer {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  return { status: Number(first.split(" ")[1]), headers, body: rest.join("\r\n\r\n") };
}
