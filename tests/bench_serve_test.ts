import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { percentile } from "../bench/measuring/measure.ts";
import { parseCounters } from "../bench/serve/counters.ts";
import { load } from "../bench/serve/load.ts";
import { countedLoad, growth, soak } from "../bench/serve/measures.ts";

/** A server that makes nothing: its answers, by the number of the request. */
function pretend(answer: (n: number) => number) {
  let [asked, made] = [0, 0];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    if (new URL(request.url).pathname === "/metrics") {
      const lines = [
        "# HELP bitwise_images_total Images",
        `bitwise_images_total{outcome="made"} ${made}`,
        `bitwise_batch_images_sum ${made}`,
        `bitwise_batch_images_count ${made / 2}`,
      ];
      return new Response(lines.join("\n"));
    }
    const { prompt } = await request.json();
    assert(["apple", "dog"].includes(prompt) && request.url.endsWith("/v1/images/generations"));
    const status = answer(asked++);
    if (status === 200) made++;
    return Response.json({}, { status });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  return { url, prompts: ["apple", "dog"], server, asked: () => asked };
}

Deno.test("load() sends so many requests, and counts as lost what is neither an image nor 429", async () => {
  const { server, asked, ...where } = pretend((n) => n % 10 === 0 ? 500 : n % 2 ? 429 : 200);
  await using _ = server;
  const result = await load({ ...where, clients: 8, requests: 100 });
  assertEquals(asked(), 100);
  assertEquals(result.answers, { 200: 40, 429: 50, 500: 10 });
  assertEquals(result.lost, 10);
  assert(result.p50 > 0 && result.p95 >= result.p50 && result.perSecond > 0);
});

Deno.test("countedLoad() compares answers with what the server says it made", async () => {
  const { server, asked: _asked, ...where } = pretend(() => 200);
  await using _ = server;
  await load({ ...where, clients: 2, requests: 10 });
  const result = await countedLoad({ ...where, clients: 4, requests: 40 });
  const { lost, unaccounted, batch, answers } = result;
  assertEquals({ lost, unaccounted, batch, answers }, {
    lost: 0,
    unaccounted: 0,
    batch: 2,
    answers: { 200: 40 },
  });
});

Deno.test("soak() puts loads on a server until its time is over", async () => {
  const { server, asked, ...where } = pretend(() => 200);
  await using _ = server;
  const watched = {
    url: where.url,
    memory: () => Promise.resolve(1),
    cpu: () => Promise.resolve(1),
    stop: async () => {},
  };
  const result = await soak(watched, { ...where, clients: 2, requests: 10 }, 0.001);
  assertEquals([result.lost, result.unaccounted], [0, 0]);
  assertEquals(result.answers, { 200: asked() });
});

Deno.test("parseCounters() reads Prometheus's text, and takes what is not there for 0", () => {
  const text = 'bitwise_images_total{outcome="failed"} 3\nbitwise_batch_images_count 2\n';
  const none = { made: 0, aborted: 0, batched: 0 };
  assertEquals(parseCounters(text), { ...none, failed: 3, batches: 2 });
});

Deno.test("growth() compares the end with the time after warming up", () => {
  const flat = [1, 2, 100, 100, 101, 100, 100, 102, 105, 105];
  assertAlmostEquals(growth(flat), 5, 1e-9);
  assertEquals(percentile([4, 1, 3, 2], 0.5), 2);
  assert(Number.isNaN(percentile([], 0.5)));
});
