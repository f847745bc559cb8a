import { assert, assertEquals } from "@std/assert";
import type { AppOptions } from "../../../serve/http/app.ts";
import { serveFake } from "./fake_maker.ts";
import { rawRequest } from "./sockets.ts";

/** The status of a request, and its headers. */
async function ask(
  options: AppOptions,
  path: string,
  headers: Record<string, string>,
  method = "GET",
) {
  await using server = serveFake(options);
  return await rawRequest(server.port, method, path, { host: "127.0.0.1", ...headers });
}

Deno.test("Only names that the server knows are answered", async () => {
  const hosts = ["bitwise.example"];
  for (
    const [host, status] of [
      ["localhost:8080", 200],
      ["127.0.0.1", 200],
      ["192.168.1.20:8080", 200],
      ["[::1]:8080", 200],
      ["bitwise.example", 200],
      ["BITWISE.example:80", 200],
      ["evil.example", 421],
      ["localhost.evil.example", 421],
      ["127.0.0.1.evil.example", 421],
    ] as const
  ) {
    assertEquals((await ask({ hosts }, "/healthz", { host })).status, status, host);
  }
});

Deno.test("Pages of other origins are refused unless they are listed", async () => {
  const origins = ["https://friend.example"];
  for (
    const [origin, status] of [
      ["http://127.0.0.1", 200],
      ["https://friend.example", 200],
      ["https://evil.example", 403],
      ["http://127.0.0.1:81", 403],
      ["null", 403],
    ] as const
  ) {
    const answer = await ask({ origins }, "/healthz", { origin });
    assertEquals(answer.status, status, origin);
    const allowed = origin === "https://friend.example" ? origin : undefined;
    assertEquals(answer.headers["access-control-allow-origin"], allowed);
  }
});

Deno.test("CORS is closed unless it is asked for", async () => {
  const preflight = {
    origin: "https://friend.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type",
  };
  const path = "/v1/images/generations";
  const closed = await ask({}, path, preflight, "OPTIONS");
  assertEquals([closed.status, closed.headers["access-control-allow-origin"]], [403, undefined]);
  const open = await ask(
    { token: "x", origins: ["https://friend.example"] },
    path,
    preflight,
    "OPTIONS",
  );
  assertEquals([open.status, open.headers["access-control-allow-headers"]], [
    204,
    "authorization,content-type",
  ]);
});

Deno.test("The token is asked for wherever something is made or told", async () => {
  const token = "x1-y2";
  const status = async (path: string, authorization?: string, method?: string) =>
    (await ask({ token }, path, authorization ? { authorization } : {}, method)).status;
  for (const path of ["/healthz", "/readyz", "/"]) assertEquals(await status(path), 200, path);
  for (
    const path of ["/v1/models", "/sdapi/v1/options", "/predictions/a", "/metrics", "/openapi.json"]
  ) {
    assertEquals(await status(path), 401, path);
  }
  assertEquals(await status("/v1/images/generations", undefined, "POST"), 401);
  for (
    const authorization of [
      "Bearer x1-y",
      "Bearer x1-y22",
      "Bearer",
      "x1-y2",
      "Basic x1-y2",
      `Basic ${btoa("x1-y2:")}`,
    ]
  ) {
    assertEquals(await status("/v1/models", authorization), 401, authorization);
  }
  assertEquals(await status("/v1/models", "Bearer x1-y2"), 200);
  assertEquals(await status("/sdapi/v1/options", `Basic ${btoa("me:x1-y2")}`), 200);
  const { headers } = await ask({ token }, "/v1/models", {});
  assert(headers["www-authenticate"]!.startsWith("Bearer"));
});

Deno.test("All answers carry headers that keep browsers from harm", async () => {
  for (const path of ["/", "/healthz", "/v1/models", "/no/such/thing"]) {
    const { headers } = await ask({}, path, {});
    assertEquals(headers["x-content-type-options"], "nosniff", path);
    assertEquals(headers["x-frame-options"], "DENY");
    assertEquals(headers["referrer-policy"], "no-referrer");
    assert(headers["content-security-policy"]!.includes("frame-ancestors 'none'"));
  }
});
