import { assert, assertEquals, assertRejects } from "@std/assert";
import { createApp } from "../../../serve/http/app.ts";
import { Metrics } from "../../../serve/http/metrics.ts";
import { SignedUrls } from "../../../serve/stores/signed_urls.ts";
import type { Store } from "../../../serve/stores/store.ts";
import { encodePng, readPngText } from "../../../model/image/png.ts";
import { CARD, FakeMaker, serveFake, SIDE } from "./fake_maker.ts";

/** Keeps files in a map. */
class MapStore implements Store {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();

  put(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.files.set(name, bytes);
    return Promise.resolve();
  }

  get(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return Promise.resolve(this.files.get(name) ?? null);
  }

  has(name: string): Promise<boolean> {
    return Promise.resolve(this.files.has(name));
  }
}

const urls = new SignedUrls();

const status = async (url: string) => {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
};

Deno.test("URLs of results are signed, and expire", async () => {
  const store = new MapStore();
  await using server = serveFake({ files: { store, urls }, token: "x" });
  const headers = { authorization: "Bearer x" };
  const answer = await server.post("/v1/images/generations", {
    prompt: "a",
    response_format: "url",
  }, { headers });
  const [{ url, b64_json }] = (await answer.json()).data;
  assert(url.startsWith(`${server.url}/files/`), url);
  assertEquals(b64_json, undefined);
  const file = await fetch(url);
  assertEquals([file.status, file.headers.get("content-type")], [200, "image/png"]);
  assert(readPngText(new Uint8Array(await file.arrayBuffer())).parameters?.startsWith("a\n"));
  assertEquals(await status(url.replace("signature=", "signature=x")), 403);
  assertEquals(await status(url.split("?")[0]), 403);
  assertEquals(await status(url.replace(/expires=\d+/, "expires=1")), 410);
  store.files.clear();
  assertEquals(await status(url), 404);
});

Deno.test("Without a store there are no URLs", async () => {
  await using server = serveFake();
  const answer = await server.post("/v1/images/generations", {
    prompt: "a",
    response_format: "url",
  });
  const { error } = await answer.json();
  assertEquals([answer.status, error.param, error.code], [400, "response_format", "no-store"]);
  assertEquals(await status(`${server.url}/files/a.png?expires=1&signature=a`), 404);
});

Deno.test("A store that fails is the server's fault", async () => {
  const store = new MapStore();
  store.put = () => Promise.reject(new Error("secret path"));
  const errors: unknown[] = [];
  await using server = serveFake({
    files: { store, urls },
    onError: (error) => errors.push(error),
  });
  const ask = async (path: string, body: object) => {
    const answer = await server.post(path, body);
    const text = await answer.text();
    assert(text.includes("the store failed") && !text.includes("secret"), text);
    return [answer.status, errors.splice(0).length];
  };
  const request = { prompt: "a", response_format: "url" };
  assertEquals(await ask("/v1/images/generations", request), [500, 1]);
  // where the answer has begun, the log hears of it all the same
  assertEquals(await ask("/v1/images/generations", { ...request, stream: true }), [200, 1]);
  assertEquals(await ask("/predictions", { input: { prompt: "a", output_urls: true } }), [200, 1]);
  const broken = await server.post("/predictions", { input: { prompt: "broken" } });
  assert((await broken.json()).error.includes("its log says more"));
  assertEquals(errors.map((error) => (error as Error).message), ["secret detail"]);
});

Deno.test("Nothing is made before the model is loaded, or when it cannot be", async () => {
  const { promise, resolve } = Promise.withResolvers<typeof CARD>();
  const maker = new FakeMaker(promise);
  await using server = serveFake({}, maker);
  const generate = async () => {
    const response = await server.post("/v1/images/generations", { prompt: "a" });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await status(`${server.url}/healthz`), await status(`${server.url}/readyz`)], [
    200,
    503,
  ]);
  assertEquals(await generate(), 503);
  resolve(CARD);
  await promise;
  assertEquals([await status(`${server.url}/readyz`), await generate()], [200, 200]);
  await maker.close();
  assertEquals([await status(`${server.url}/readyz`), await generate()], [503, 503]);

  const failed = Promise.reject(new Error("no such model"));
  failed.catch(() => {});
  await using broken = serveFake({}, new FakeMaker(failed));
  const answer = await broken.post("/v1/images/generations", { prompt: "a" });
  assertEquals([answer.status, (await answer.json()).error.code], [503, "not-loaded"]);
});

Deno.test("Metrics count images, scales and requests", async () => {
  const metrics = new Metrics();
  await using server = serveFake({ metrics });
  const { onBatch, onScaleSeconds, onEnd, onLost } = metrics.events;
  onBatch?.(3);
  onScaleSeconds?.(2, 0.05);
  onEnd?.("made");
  onLost?.();
  await (await server.post("/v1/images/generations", { prompt: "a" })).body?.cancel();
  await (await server.ask("/no/such/path")).body?.cancel();
  const response = await server.ask("/metrics");
  const text = await response.text();
  assert(response.headers.get("content-type")?.startsWith("text/plain"));
  for (
    const line of [
      'bitwise_images_total{outcome="made"} 1',
      'bitwise_images_total{outcome="failed"} 0',
      "bitwise_batch_images_sum 3",
      'bitwise_scale_seconds_bucket{le="0.1",scale="2"} 1',
      "bitwise_device_losses_total 1",
      "bitwise_queue_jobs 0",
      "bitwise_gpu_bytes 1234",
      'bitwise_http_request_seconds_count{method="POST",route="/v1/images/generations",status="200"} 1',
      'bitwise_http_request_seconds_count{method="GET",route="other",status="404"} 1',
    ]
  ) assert(text.includes(`${line}\n`), `${line} is not in\n${text}`);
});

interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<string, { summary?: string; responses: object; security?: object[] }>
  >;
  components: { schemas: Record<string, object> };
}

Deno.test("The OpenAPI document has every route, and refers to nothing that it lacks", async () => {
  await using server = serveFake();
  const text = await (await server.ask("/openapi.json")).text();
  const document = JSON.parse(text) as Document;
  assert(document.openapi.startsWith("3.1"));
  for (
    const path of [
      ...["generations", "edits", "variations"].map((name) => `/v1/images/${name}`),
      ...["txt2img", "img2img", "progress", "sd-models", "options"].map((name) =>
        `/sdapi/v1/${name}`
      ),
      ...["/predictions", "/predictions/{id}", "/predictions/{id}/cancel"],
      ...["/v1/models", "/healthz", "/readyz", "/metrics", "/openapi.json", "/files/{name}"],
    ]
  ) assert(document.paths[path], path);
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { summary, responses, security }] of Object.entries(methods)) {
      assert(summary && Object.keys(responses).length > 0, `${method} ${path}`);
      const open = ["/healthz", "/readyz", "/files/{name}"].includes(path);
      assertEquals(security, open ? [] : [{ token: [] }], path);
    }
  }
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    assert(document.components.schemas[name!], name);
  }
  const fields = JSON.stringify(document.components.schemas.GenerationRequest);
  for (const field of ["partial_images", "cfg_scale", "output_format"]) {
    assert(fields.includes(field));
  }
});

Deno.test("The page is served with its types and its policy", async () => {
  const page = await Deno.makeTempDir();
  await Deno.writeTextFile(`${page}/index.html`, "<p>page");
  await Deno.mkdir(`${page}/parts`);
  await Deno.writeTextFile(`${page}/parts/main.js`, "1");
  await using server = serveFake({ page, token: "x" });
  await using others = serveFake({ page, origins: ["https://example.org"] });
  for (const [path, type] of [["/", "text/html"], ["/parts/main.js", "text/javascript"]] as const) {
    const response = await server.ask(path);
    assertEquals(response.status, 200);
    assert(response.headers.get("content-type")!.startsWith(type));
    assert(response.headers.get("content-security-policy")!.includes("worker-src 'self' blob:"));
    await response.body?.cancel();
  }
  const { open } = Deno;
  const files: Deno.FsFile[] = [];
  Deno.open = async (...args) => {
    const file = await open(...args);
    files.push(file);
    return file;
  };
  for (const { ask } of [server, others]) {
    const { status, headers } = await ask("/parts/main.js", { method: "HEAD" });
    assertEquals([status, headers.get("content-length")], [200, "1"]);
  }
  Deno.open = open;
  assertEquals(files.length, 2);
  for (const file of files) await assertRejects(() => file.stat(), Deno.errors.BadResource);
  assertEquals(await status(`${server.url}/parts`), 404);
  assertEquals(await status(`${server.url}/none.js`), 404);
  assertEquals(await status(`${server.url}/${"x".repeat(300)}`), 404);
  assertEquals(await status(`${server.url}/${"x/".repeat(3000)}`), 404);
  await Deno.remove(page, { recursive: true });

  await using bare = serveFake();
  assert((await (await bare.ask("/")).text()).includes("deno task build"));
});

Deno.test("The files of the model are handed out where they may be, and nothing beside them", async () => {
  const modelFolder = await Deno.makeTempDir();
  await Deno.mkdir(`${modelFolder}/text_encoder`);
  for (const name of ["config.json", "text_encoder/model.safetensors", "notes.txt", ".env.json"]) {
    await Deno.writeTextFile(`${modelFolder}/${name}`, name);
  }
  const statusOf = async (server: Awaited<ReturnType<typeof serveFake>>, path: string) => {
    const response = await fetch(`${server.url}/model/${path}`);
    await response.body?.cancel();
    return response.status;
  };
  await using server = serveFake({ modelFolder });
  await using other = serveFake();
  for (const path of ["config.json", "text_encoder/model.safetensors"]) {
    assertEquals([await statusOf(server, path), await statusOf(other, path)], [200, 404]);
  }
  for (
    const path of ["", "notes.txt", ".env.json", "text_encoder", "%2e%2e/x.json", "..%2fx.json"]
  ) {
    assertEquals(await statusOf(server, path), 404, path);
  }
  await Deno.remove(modelFolder, { recursive: true });
});

Deno.test("A model without an encoder takes bits alone", async () => {
  const maker = new FakeMaker(Promise.resolve({ ...CARD, edits: false }));
  await using server = serveFake({}, maker);
  const image = encodePng(new Uint8Array(SIDE * SIDE * 4), SIDE, SIDE).toBase64();
  const answer = await server.post("/v1/images/edits", { prompt: "a", image });
  assertEquals([answer.status, (await answer.json()).error.code], [400, "no-encoder"]);
});

Deno.test("An application answers without a socket", async () => {
  const maker = new FakeMaker();
  const app = createApp(maker);
  const answer = await app.fetch(new Request("http://localhost/healthz"));
  assertEquals([answer.status, await answer.json()], [200, { status: "ok" }]);
  app.close();
});
