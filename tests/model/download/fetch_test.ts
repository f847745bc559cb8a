// Requests to servers on 127.0.0.1.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fetchFollowing, readBody } from "../../../model/download/fetch.ts";
import { DownloadError, Patience } from "../../../model/download/patience.ts";

/** Serves while a test runs. */
async function serving(
  answer: (request: Request) => Response | Promise<Response>,
  test: (origin: string) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: stop.signal };
  const server = Deno.serve(options, answer);
  try {
    await test(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    stop.abort();
    await server.finished;
  }
}

const to = (location: string) => new Response(null, { status: 302, headers: { location } });

Deno.test("fetchFollowing() follows redirects, with headers for each URL", () =>
  serving(
    (request) => Response.json([new URL(request.url).pathname, request.headers.get("x-for")]),
    (target) =>
      serving(
        ({ url }) => to(url.endsWith("/a") ? "/b" : `${target}/c`),
        async (origin) => {
          using patience = new Patience(5000);
          const headers = ({ pathname }: URL) => new Headers({ "x-for": pathname });
          const response = await fetchFollowing(`${origin}/a`, { what: "x", patience, headers });
          assertEquals(await response.json(), ["/c", "/c"]);
        },
      ),
  ));

Deno.test("fetchFollowing() returns any other answer, and gives up on circles", () =>
  serving(
    ({ url }) => url.endsWith("/circle") ? to("/circle") : new Response("no", { status: 404 }),
    async (origin) => {
      using patience = new Patience(5000);
      const response = await fetchFollowing(`${origin}/none`, { what: "x", patience });
      assertEquals([response.status, await response.text()], [404, "no"]);
      const error = await assertRejects(
        () => fetchFollowing(`${origin}/circle`, { what: "x", patience }),
        DownloadError,
      );
      assertEquals(error.message, "Cannot download x: the server redirects in circles");
    },
  ));

Deno.test("readBody() gives up on a server that falls silent, unless the user did before", () => {
  const silent = () =>
    new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(3)) }),
    );
  return serving(silent, async (origin) => {
    const read = async (ms: number, user?: AbortSignal) => {
      using patience = new Patience(ms, user);
      const response = await fetchFollowing(origin, { what: "x", patience });
      for await (const bytes of readBody(response, "x", patience)) assertEquals(bytes.length, 3);
    };
    const stalled = await assertRejects(() => read(50), DownloadError);
    assertEquals([stalled.code, stalled.passing], ["stalled", true]);
    assertStringIncludes(stalled.message, "the server has sent nothing for 0.05 s");
    const aborted = await assertRejects(() => read(60_000, AbortSignal.timeout(50)));
    assertEquals((aborted as Error).name, "TimeoutError");
  });
});

Deno.test("fetchFollowing() reads no more headers than an answer may have", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let sent = 0;
  const serve = async () => {
    using connection = await listener.accept();
    await connection.read(new Uint8Array(1000));
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n"));
    const header = new TextEncoder().encode(`x-a: ${"a".repeat(10_000)}\r\n`);
    while (true) sent += await connection.write(header);
  };
  const served = serve().catch(() => {}); // until the client hangs up
  using patience = new Patience(5000);
  const url = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const error = await assertRejects(
    () => fetchFollowing(url, { what: "x", patience }),
    DownloadError,
  );
  const why = "message head is too large; check the connection, then run it again";
  assertEquals(error.message, `Cannot reach ${url}: ${why}`);
  await served;
  assert(sent < 50e6, `${sent} bytes were sent`);
});

Deno.test("fetchFollowing() cuts the name of a host that a server chose", () =>
  serving(() => to(`http://${"a".repeat(5000)}.invalid/`), async (origin) => {
    using patience = new Patience(5000);
    const get = () => fetchFollowing(origin, { what: "x", patience });
    const error = await assertRejects(get, DownloadError, "Cannot reach http://aaa");
    assert(error.message.length < 300, error.message);
  }));

Deno.test("Patience is not tried by a slow but steady server", async () => {
  let sent = 0;
  const steady = async (controller: ReadableStreamDefaultController) => {
    await new Promise((done) => setTimeout(done, 5));
    if (sent++ < 300) controller.enqueue(new Uint8Array(2000));
    else controller.close();
  };
  await serving(() => new Response(new ReadableStream({ pull: steady })), async (origin) => {
    using patience = new Patience(1000);
    const response = await fetchFollowing(origin, { what: "x", patience });
    let bytes = 0;
    for await (const piece of readBody(response, "x", patience)) bytes += piece.length;
    assertEquals(bytes, 600_000);
  });
});
