import { assert, assertEquals } from "@std/assert";
import { encodePng } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { createApp } from "../../../serve/http/app.ts";
import { FakeMaker, type FakeServer, SCALES, serveFake, SIDE } from "./fake_maker.ts";

const INPUT = { prompt: "a square", guidance: 4, tau: 0.6, seed: 5 };

async function predict(
  server: FakeServer,
  body: object,
  init?: RequestInit,
  path = "/predictions",
) {
  const response = await server.post(path, body, init);
  return { status: response.status, body: await response.json() };
}

const get = async (server: FakeServer, id: string) =>
  await (await server.ask(`/predictions/${id}`)).json();

Deno.test("A prediction is answered when it is done, with data URLs", async () => {
  await using server = serveFake();
  const input = { ...INPUT, num_outputs: 2 };
  const { status, body } = await predict(server, { input });
  assertEquals([status, body.status, body.error], [200, "succeeded", null]);
  assertEquals(body.input, input);
  const [first, second] = body.output as string[];
  for (const [url, seed] of [[first!, 5], [second!, 6]] as const) {
    const [head, data] = url.split(",");
    assertEquals(head, "data:image/png;base64");
    const { width, rgba } = await (await openImage(Uint8Array.fromBase64(data!), "output")).image();
    assertEquals([width, ...rgba.subarray(0, 2)], [SIDE, SCALES, seed]);
  }
  assertEquals(server.maker.jobs[0]!.settings, { cfgScale: 4, tau: 0.6 });
  assert(Date.parse(body.completed_at) >= Date.parse(body.created_at));
  assert(body.metrics.predict_time >= 0);
  assertEquals((await get(server, body.id)).output, body.output);
});

Deno.test("With respond-async it is answered at once, and can be asked for", async () => {
  await using server = serveFake();
  const { maker } = server;
  maker.held = true;
  const { status, body } = await predict(server, { input: INPUT }, {
    headers: { prefer: "respond-async" },
  });
  assertEquals([status, body.status, body.output], [202, "starting", null]);
  maker.release();
  await maker.until(() => maker.state().running === 0);
  let now = await get(server, body.id);
  while (now.status !== "succeeded") now = await get(server, body.id);
  assertEquals(now.output.length, 1);
  assertEquals(now.logs.split("\n").length, SCALES);
});

Deno.test("Prefer: wait=0 waits no longer than that", async () => {
  await using server = serveFake();
  server.maker.held = true;
  const { status, body } = await predict(server, { input: INPUT }, {
    headers: { prefer: "wait=0" },
  });
  assertEquals([status, body.status], [202, "starting"]);
});

Deno.test("PUT makes a prediction once", async () => {
  await using server = serveFake();
  const { maker } = server;
  maker.held = true;
  const put = () =>
    predict(server, { input: INPUT }, {
      method: "PUT",
      headers: { prefer: "respond-async" },
    }, "/predictions/my-id");
  assertEquals((await put()).status, 202);
  const again = await put();
  assertEquals([again.status, again.body.id, maker.jobs.length], [202, "my-id", 1]);
  const bad = await predict(server, { input: INPUT }, { method: "PUT" }, "/predictions/my%20id");
  assertEquals([bad.status, bad.body.detail[0].loc], [422, ["body", "id"]]);
});

Deno.test("A prediction that begins while its images are read begins once", async () => {
  await using server = serveFake();
  const { maker } = server;
  maker.held = true;
  const image = encodePng(new Uint8Array(SIDE * SIDE * 4).fill(255), SIDE, SIDE).toBase64();
  const input = { ...INPUT, image, mask: image };
  const headers = { prefer: "respond-async" };
  const twice = async (id: string | undefined, method: string, path: string) => {
    const one = () => predict(server, { id, input }, { method, headers }, path);
    const statuses = (await Promise.all([one(), one()])).map(({ status }) => status);
    return [statuses.sort(), maker.jobs.splice(0).length];
  };
  assertEquals(await twice(undefined, "PUT", "/predictions/a"), [[202, 202], 1]);
  assertEquals(await twice("b", "POST", "/predictions"), [[202, 422], 1]);
});

Deno.test("A client that hangs up while its request is read wants no prediction", async () => {
  const maker = new FakeMaker();
  maker.held = true;
  const client = new AbortController();
  const app = createApp(maker, {
    get url() {
      client.abort();
      return "http://localhost";
    },
  });
  const request = new Request("http://localhost/predictions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input: INPUT }),
    signal: client.signal,
  });
  const { status } = await (await app.fetch(request)).json();
  assertEquals([status, maker.state().running], ["canceled", 0]);
  app.close();
});

Deno.test("Cancelling ends the jobs", async () => {
  await using server = serveFake();
  const { maker } = server;
  maker.held = true;
  const { body: { id } } = await predict(server, { input: INPUT }, {
    headers: { prefer: "respond-async" },
  });
  const cancelled = await (await server.post(`/predictions/${id}/cancel`, {})).json();
  assertEquals([cancelled.status, maker.aborted], ["canceled", 1]);
  assertEquals((await server.post("/predictions/none/cancel", {})).status, 404);
});

Deno.test("Webhooks and foreign URLs are refused, and errors have cog's shape", async () => {
  await using server = serveFake();
  const fail = async (body: object) => {
    const { status, body: { detail } } = await predict(server, body);
    return [status, detail[0].loc.at(-1)];
  };
  assertEquals(await fail({ input: INPUT, webhook: "http://169.254.169.254/" }), [422, "webhook"]);
  const image = "http://127.0.0.1/image.png";
  assertEquals(await fail({ input: { ...INPUT, image } }), [422, "image"]);
  assertEquals(await fail({ input: { ...INPUT, tau: "hot" } }), [422, "tau"]);
  const wrong = await predict(server, { input: { ...INPUT, prompt: "wrong" } });
  assertEquals([wrong.status, wrong.body.status, wrong.body.error], [
    200,
    "failed",
    "Cannot draw: it is wrong",
  ]);
  server.maker.queue = 0;
  for (const prefer of ["respond-async", "wait"]) {
    const { status } = await predict(server, { input: INPUT }, { headers: { prefer } });
    assertEquals(status, 429);
  }
});

Deno.test("Errors name the fields as cog does, below input", async () => {
  await using server = serveFake();
  const cases: readonly (readonly [object, string])[] = [
    [{ num_outputs: 99 }, "num_outputs"],
    [{ width: 9, height: 9 }, "width"],
    [{ seed: "18446744073709551616" }, "seed"],
    [{ prompt: "a".repeat(4001) }, "prompt"],
    [{ strength: 1, keep_scales: 1 }, "keep_scales"],
    [{ image: "R0lGODlh" }, "image"],
    [{ image: "@" }, "image"],
    [{ mask: "R0lGODlh" }, "mask"],
    [{ output_urls: true }, "output_urls"],
  ];
  for (const [fields, name] of cases) {
    const { body: { detail } } = await predict(server, { input: { ...INPUT, ...fields } });
    const [{ loc, msg }] = detail;
    assertEquals([loc, msg.includes(`input.${name}`)], [["body", "input", name], true], msg);
  }
});

Deno.test("Predictions that run are bounded, and old ones are forgotten", async () => {
  await using server = serveFake({ limits: { predictions: 2 } });
  const { maker } = server;
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) ids.push((await predict(server, { input: INPUT })).body.id);
  const statuses = await Promise.all(ids.map(async (id) => {
    const response = await server.ask(`/predictions/${id}`);
    await response.body?.cancel();
    return response.status;
  }));
  assertEquals(statuses, [404, 404, 200, 200]);
  maker.held = true;
  const start = () => predict(server, { input: INPUT }, { headers: { prefer: "respond-async" } });
  assertEquals([(await start()).status, (await start()).status], [202, 202]);
  assertEquals((await start()).status, 429);
});
