import "../backend.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { connect } from "../../serve/fleet/connect.ts";
import { RemoteMaker } from "../../serve/fleet/remote_maker.ts";
import { FolderStore } from "../../serve/stores/folder_store.ts";
import { filesIn, inFolder, MODEL, refuses, start } from "./process.ts";
import { RedisServer, SKIP_REDIS } from "../serve/fleet/redis_server.ts";

const { ignore, why } = SKIP_REDIS;

/** Reads stderr until a line is there, and returns all of it at the end. */
function watch(process: Deno.ChildProcess) {
  const { promise: all, resolve } = Promise.withResolvers<string>();
  const waiting: { text: string; found: () => void }[] = [];
  let text = "";
  (async () => {
    for await (const piece of process.stderr.pipeThrough(new TextDecoderStream())) {
      text += piece;
      for (const { text: wanted, found } of waiting) if (text.includes(wanted)) found();
    }
    resolve(text);
  })();
  const until = (wanted: string) =>
    new Promise<void>((found) => {
      waiting.push({ text: wanted, found });
      if (text.includes(wanted)) found();
    });
  return { all, until };
}

function test(name: string, fn: () => Promise<void>): void {
  const windows = Deno.build.os === "windows"; // a child cannot be sent Ctrl-C
  Deno.test({
    name: name + why,
    ignore: ignore || windows,
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

test("worker waits for a Redis that is not there, ends its jobs after SIGTERM, and leaves with 0", () =>
  inFolder(async (folder) => {
    await using server = await RedisServer.start("secret");
    await server.stop();
    const path = join(folder, "results");
    const args = ["worker", "--redis", server.url, "--results", path, "-m", MODEL];
    const process = start([...args, "--jobs", "2"], { cwd: folder });
    const { all, until } = watch(process);
    await until("Waiting for Redis");
    await server.again();
    await until("Working with emoji-nano");
    const redis = await connect(server.url);
    const front = new RemoteMaker(redis, new FolderStore(path), { look: 100 });
    assertEquals((await front.card).name, "emoji-nano");
    let begun = () => process.kill("SIGTERM");
    // so many that most are left, however long it takes until the signal is sent
    const jobs = Array.from(
      { length: 60 },
      (_, i) =>
        front.make({ id: `job-${i}`, prompt: "cat", seed: "1", settings: {} }, {
          onScale() {
            begun();
            begun = () => {};
          },
        }),
    );
    const settled = Promise.allSettled(jobs);
    const text = await all;
    assertEquals((await process.status).code, 0, text);
    await front.close("at once");
    // those that ran are made, the others stay in the queue
    const states = (await settled).map(({ status }) => status);
    const made = states.filter((status) => status === "fulfilled").length;
    assert(made >= 1 && made < jobs.length, `${states}`);
    assertEquals(filesIn(path).filter((name) => name.endsWith(".png")).length, made);
    assertMatch(text, new RegExp(`\n${made} images? (was|were) made, 0 failed\n$`));
    assertStringIncludes(text, `Redis at redis://127.0.0.1:${server.port} is back`);
    assert(!text.includes("secret"), text);
  }));

test("worker that waits for Redis ends at Ctrl-C", () =>
  inFolder(async (folder) => {
    await using server = await RedisServer.start();
    await server.stop();
    const process = start(["worker", "--redis", server.url, "-m", MODEL], { cwd: folder });
    const { all, until } = watch(process);
    await until("Waiting for Redis");
    process.kill("SIGINT");
    const text = await all;
    assertEquals((await process.status).code, 130);
    assertMatch(text, /\nInterrupted\n$/);
    assertEquals(filesIn(folder), []);
    await server.again();
  }));

Deno.test("worker names what it lacks", async () => {
  await refuses(["worker"], 2, "name the --redis of a queue");
  await refuses(["worker", "--redis", "localhost:6379"], 2, "it must be redis://HOST:PORT");
  const queue = ["--redis", "redis://127.0.0.1:1", "--redis-queue", "a b"];
  await refuses(["worker", ...queue], 2, "letters, digits, - or _");
  const store = ["--redis", "redis://127.0.0.1:1", "--results", "ftp://x"];
  await refuses(["worker", ...store], 2, "name a folder, or s3://BUCKET/PREFIX");
});
