import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { BitwiseError, InputError } from "../../../engine/mod.ts";
import { connect } from "../../../serve/fleet/connect.ts";
import { shownRedis } from "../../../serve/fleet/redis_url.ts";
import { scaleOf } from "../../../serve/fleet/previews.ts";
import { failureOf, failureText, readOutcome } from "../../../serve/fleet/protocol.ts";
import { RedisServer, SKIP_REDIS } from "./redis_server.ts";

const { ignore, why } = SKIP_REDIS;

Deno.test("shownRedis() hides users and passwords, and refuses other URLs in their place", () => {
  assertEquals(shownRedis("redis://me:secret@10.0.0.5:6379/2?x=y"), "redis://10.0.0.5:6379/2");
  assertEquals(shownRedis("rediss://:secret@example.com"), "rediss://example.com");
  for (
    const url of [
      ...["", "localhost:6379", "http://:secret@x", "redis://:secret@", "redis:secret"],
      // a password with a slash, and others with what ends a host
      ...["redis://me:/secret@x", "redis://me:1/secret@x", "redis://me:1?secret@x"],
    ]
  ) {
    const { message } = assertThrows(() => shownRedis(url), InputError);
    assert(!message.includes("secret"), message);
  }
});

Deno.test("Errors keep their class and code as text in the failed set", () => {
  const error = new InputError("bad-value", "Cannot use tau 0: it must be\nabove 0");
  const again = failureOf(failureText(error));
  assert(again instanceof InputError);
  assertEquals([again.code, again.message], [error.code, error.message]);
  const other = failureOf("job stalled more than allowable limit");
  assertEquals(other.message, "Cannot generate: job stalled more than allowable limit");
  assertEquals(failureOf("InputError (No--code): x").message.includes("(No--code)"), true);
});

Deno.test("What workers of another version return or report is refused", async () => {
  const right = { warnings: ["a"], seconds: 0.5, batch: 2 };
  assertEquals(readOutcome({ ...right, more: 1 }), right);
  assertEquals(readOutcome({ cancelled: true, warnings: 7 }), { cancelled: true });
  for (const wrong of [null, "", {}, { ...right, warnings: [1] }, { ...right, batch: 0 }]) {
    assertThrows(() => readOutcome(wrong), BitwiseError, "use the same version");
  }
  assertEquals(await scaleOf({ scale: 3, scales: 4 }), { scale: 3, scales: 4 });
  for (const [scale, scales] of [[4, 4], [-1, 4], [0.5, 4], [0, 0]] as const) {
    await assertRejects(() => scaleOf({ scale, scales }), InputError, "it names no scale");
  }
});

Deno.test({
  name: `connect() logs in, and does not wait where the password is wrong${why}`,
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using server = await RedisServer.start("right");
    const redis = await connect(server.url);
    assertEquals(await redis.ping(), "PONG");
    redis.disconnect();
    for (const url of [server.url.replace("right", "secret"), server.url.replace(":right@", "")]) {
      const lines: string[] = [];
      const error = await assertRejects(
        () => connect(url, { onChange: (line) => lines.push(line) }),
        BitwiseError,
      );
      assertEquals(error.code, "redis-refused");
      assertStringIncludes(error.message, `Redis at redis://127.0.0.1:${server.port}: it replied`);
      assert(![error.message, ...lines].join().includes("secret"), error.message);
    }
  },
});

Deno.test("connect() waits for Redis with a message, until its signal is aborted", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const stop = new AbortController();
  const { promise: told, resolve: tell } = Promise.withResolvers<string>();
  const connected = connect(`redis://me:secret@127.0.0.1:${port}`, {
    signal: stop.signal,
    onChange: tell,
  });
  const line = await told;
  const place = `redis://127.0.0.1:${port}`;
  assertEquals(line, `Waiting for Redis at ${place}: the connection is refused`);
  stop.abort(new Error("enough"));
  await assertRejects(() => connected, Error, "enough");
});
