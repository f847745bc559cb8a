/** Requests that are wrong or mean harm: each gets a clear answer, and the server lives on. */

import { assert, assertEquals } from "@std/assert";
import { encodePng } from "../../../model/image/png.ts";
import { BITS, type FakeServer, serveFake, SIDE } from "./fake_maker.ts";
import { openSocket, rawRequest, readAnswer, send } from "./sockets.ts";

const GENERATIONS = "/v1/images/generations";
const ALLOWED = [200, 429];

async function lives(server: FakeServer): Promise<void> {
  const response = await server.post(GENERATIONS, { prompt: "a" });
  assertEquals(response.status, 200);
  await response.body?.cancel();
}

async function refused(response: Response): Promise<[number, string | null, string]> {
  const { error } = await response.json();
  assert(
    typeof error.message === "string" && !/\n|\.$|at file:/.test(error.message),
    error.message,
  );
  return [response.status, error.param, error.code];
}

const png = (width = SIDE, height = SIDE) =>
  encodePng(new Uint8Array(width * height * 4).fill(255), width, height);

Deno.test("Wrong fields are named", async () => {
  await using server = serveFake({ limits: { promptLength: 100 } });
  const cases: readonly (readonly [object, string])[] = [
    [{}, "prompt"],
    [{ prompt: "" }, "prompt"],
    [{ prompt: 7 }, "prompt"],
    [{ prompt: "a".repeat(101) }, "prompt"],
    [{ negative_prompt: "a".repeat(101) }, "negative_prompt"],
    [{ n: 0 }, "n"],
    [{ n: 17 }, "n"],
    [{ n: 1.5 }, "n"],
    [{ n: "2" }, "n"],
    [{ size: "8x" }, "size"],
    [{ size: "99999999x8" }, "size"],
    [{ size: "../../etc/passwd" }, "size"],
    [{ seed: -2 }, "seed"],
    [{ seed: 1.5 }, "seed"],
    [{ seed: 2 ** 60 }, "seed"],
    [{ seed: "18446744073709551616" }, "seed"],
    [{ seed: "0x10" }, "seed"],
    [{ tau: "NaN" }, "tau"],
    [{ tau: [] }, "tau"],
    [{ tau: new Array(65).fill(1) }, "tau"],
    [{ cfg_scale: -1 }, "cfg_scale"],
    [{ top_p: 2 }, "top_p"],
    [{ stream: "yes" }, "stream"],
    [{ response_format: "file" }, "response_format"],
    [{ output_format: "gif" }, "output_format"],
    [{ output_compression: 101 }, "output_compression"],
    [{ image: "AAAA" }, "image"],
  ];
  for (const [fields, param] of cases) {
    const prompt = param === "prompt" ? undefined : "a";
    const response = await server.post(GENERATIONS, { prompt, ...fields });
    const [status, named] = await refused(response);
    assertEquals([status, named], [400, param], JSON.stringify(fields).slice(0, 80));
  }
  assertEquals(server.maker.jobs, []);
  await lives(server);
});

Deno.test("Bodies that are no JSON are refused", async () => {
  await using server = serveFake();
  const post = async (body: BodyInit, type = "application/json") => {
    const headers = { "content-type": type };
    return await refused(await server.ask(GENERATIONS, { method: "POST", body, headers }));
  };
  const deep = `{"prompt":"a","user":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  for (const body of ["", "{", "nul", '{"prompt":"a"', "[".repeat(100_000), deep]) {
    assertEquals(await post(body), [400, null, "bad-json"], body.slice(0, 30));
  }
  assertEquals(await post(new Uint8Array([0x22, 0xff, 0x22])), [400, null, "bad-json"]);
  for (const body of ["[]", "null", "7", '"a"']) {
    assertEquals(await post(body), [400, null, "bad-value"], body);
  }
  assertEquals(await post('{"prompt":"a","n":1e999}'), [400, "n", "bad-value"]);
  assertEquals(await post('{"prompt":"a"}', "text/plain"), [415, null, "wrong-type"]);
  assertEquals(await post(`{"prompt":"${"a".repeat(2 ** 20)}"}`), [413, null, "body-too-large"]);
  const zipped = await server.post(GENERATIONS, {}, { headers: { "content-encoding": "gzip" } });
  assertEquals((await refused(zipped))[0], 415);
  const odd = '{"prompt":"a","__proto__":{"n":99},"constructor":{"prototype":{"n":99}}}';
  const response = await server.ask(GENERATIONS, {
    method: "POST",
    body: odd,
    headers: { "content-type": "application/json" },
  });
  assertEquals((await response.json()).data.length, 1);
});

Deno.test("A body without a length is cut at the limit", async () => {
  await using server = serveFake();
  using socket = await openSocket(server.port);
  const head = `POST ${GENERATIONS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n`;
  const type = "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
  await send(socket, `${head}${type}`);
  const chunk = `10000\r\n${"a".repeat(65536)}\r\n`;
  for (let i = 0; i < 17; i++) await send(socket, chunk);
  const { status, body } = await readAnswer(socket);
  assertEquals([status, JSON.parse(body).error.code], [413, "body-too-large"]);
  await lives(server);
});

Deno.test("Forms that are wrong are refused", async () => {
  await using server = serveFake();
  const post = async (fill: (form: FormData) => void) => {
    const form = new FormData();
    form.set("prompt", "a");
    form.set("image", new Blob([png()]), "../../image.png");
    fill(form);
    return await server.ask("/v1/images/edits", { method: "POST", body: form });
  };
  const ok = await post(() => {});
  assertEquals(ok.status, 200);
  await ok.body?.cancel();
  const cases: readonly (readonly [(form: FormData) => void, string | null])[] = [
    [(form) => form.delete("image"), "image"],
    [(form) => form.delete("prompt"), "prompt"],
    [(form) => form.append("prompt", "b"), "prompt"],
    [(form) => form.append("image[]", new Blob([png()])), "image"],
    [(form) => form.set("image", new Blob(["GIF89a"])), "image"],
    [(form) => form.set("image", new Blob([png().slice(0, 60)])), "image"],
    [(form) => form.set("image", new Blob([])), "image"],
    [(form) => form.set("image", "http://127.0.0.1/x.png"), "image"],
    [(form) => form.set("image", "file:///etc/passwd"), "image"],
    [(form) => form.set("image", "data:image/png;base64,@@"), "image"],
    [(form) => form.set("mask", new Blob(["x"])), "mask"],
    [(form) => form.set("n", new Blob(["2"])), "n"],
    [(form) => form.set("n", "NaN"), "n"],
    [(form) => form.set("strength", "1e999"), "strength"],
    [(form) => form.set("keep_scales", "2") ?? form.set("strength", "0.5"), "keep_scales"],
    [(form) => {
      for (let i = 0; i < 100; i++) form.set(`field${i}`, "");
    }, null],
  ];
  for (const [fill, param] of cases) {
    const [status, named] = await refused(await post(fill));
    assertEquals([status, named], [400, param], `${fill}`);
  }
  const broken = await server.ask("/v1/images/edits", {
    method: "POST",
    body: "--b\r\nnothing",
    headers: { "content-type": "multipart/form-data" },
  });
  assertEquals(await refused(broken), [400, null, "bad-form"]);
  await lives(server);
});

Deno.test("Pictures that claim to be huge are refused by their headers", async () => {
  await using server = serveFake({ limits: { maxPixels: 10_000 } });
  const huge = png();
  new DataView(huge.buffer).setUint32(16, 60_000);
  for (const image of [huge, png(200, 51)]) {
    const response = await server.post("/v1/images/edits", {
      prompt: "a",
      image: image.toBase64(),
    });
    const [status, param] = await refused(response);
    assertEquals([status, param], [400, "image"]);
  }
  const image = png().toBase64();
  const mask = png(200, 51).toBase64();
  const response = await server.post("/v1/images/edits", { prompt: "a", image, mask });
  assertEquals((await refused(response)).slice(0, 2), [400, "mask"]);
  await lives(server);
});

Deno.test("A mask of another size is refused by its header, and a slow one by the time", async () => {
  await using server = serveFake();
  await using hasty = serveFake({ limits: { requestSeconds: 0.1 } });
  const edit = async (image: Uint8Array, mask: Uint8Array, at = server) =>
    await refused(
      await at.post("/v1/images/edits", {
        prompt: "a",
        image: image.toBase64(),
        mask: mask.toBase64(),
      }),
    );
  for (const image of [png(), BITS]) {
    assertEquals(await edit(image, png(9, 9)), [400, "mask", "other-size"]);
  }
  const claim = png();
  new DataView(claim.buffer).setUint32(16, 2 ** 23);
  assertEquals((await edit(claim, png())).slice(0, 2), [400, "image"]);
  const clear = encodePng(new Uint8Array(2500 * 2500 * 4), 2500, 2500);
  assertEquals(await edit(clear, clear, hasty), [504, null, "timeout"]);
  assertEquals([...server.maker.jobs, ...hasty.maker.jobs], []);
});

Deno.test("Names that lead elsewhere find nothing", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/page`);
  await Deno.writeTextFile(`${folder}/page/index.html`, "<p>page");
  await Deno.writeTextFile(`${folder}/secret.txt`, "secret");
  await Deno.writeTextFile(`${folder}/page/.hidden`, "secret");
  await Deno.symlink(`${folder}/secret.txt`, `${folder}/page/link.txt`);
  await using server = serveFake({ page: `${folder}/page` });
  for (
    const path of [
      "/../secret.txt",
      "/..%2fsecret.txt",
      "/%2e%2e/secret.txt",
      "/..\\secret.txt",
      "//etc/passwd",
      "/.hidden",
      "/link.txt",
      "/index.html%00",
      "/files/../secret.txt",
    ]
  ) {
    const { status, body } = await rawRequest(server.port, "GET", path, { host: "localhost" });
    assert(status >= 400 && status < 500 && !body.includes("secret\n"), `${path}: ${status}`);
  }
  const { body } = await rawRequest(server.port, "GET", "/", { host: "localhost" });
  assertEquals(body, "<p>page");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("A body that arrives too slowly is cut", async () => {
  await using server = serveFake({ limits: { bodySeconds: 1 } });
  using socket = await openSocket(server.port);
  const head =
    `POST ${GENERATIONS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
  await send(socket, `${head}content-length: 1000\r\n\r\n{"prompt"`);
  const { status, body } = await readAnswer(socket);
  assertEquals([status, JSON.parse(body).error.code], [408, "slow-body"]);
  await lives(server);
});

Deno.test("Sockets that are half closed, cut or silent harm nobody", async () => {
  await using server = serveFake();
  const head =
    `POST ${GENERATIONS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
  const sockets: Deno.TcpConn[] = [];
  for (let i = 0; i < 200; i++) {
    const socket = await openSocket(server.port);
    sockets.push(socket);
    await send(socket, i % 2 ? head : `${head}content-length: 100\r\n\r\n{"pro`);
    if (i % 4 < 2) await socket.closeWrite();
  }
  await lives(server);
  for (const socket of sockets) socket.close();
  await lives(server);
});

Deno.test("Requests that wait too long end with 504", async () => {
  await using server = serveFake({ limits: { requestSeconds: 1 } });
  server.maker.held = true;
  const response = await server.post(GENERATIONS, { prompt: "a" });
  assertEquals(await refused(response), [504, null, "timeout"]);
  assertEquals(server.maker.aborted, 1);
  server.maker.release();
  await lives(server);
});

Deno.test("1,000 clients at once get images or are told when to come back", async () => {
  await using server = serveFake();
  const count = new Map<number, number>();
  await Promise.all(Array.from({ length: 1000 }, async (_, i) => {
    const body = JSON.stringify({ prompt: `number ${i}` });
    const headers = { host: "localhost", "content-type": "application/json" };
    const answer = await rawRequest(server.port, "POST", GENERATIONS, headers, body);
    count.set(answer.status, (count.get(answer.status) ?? 0) + 1);
    assertEquals(answer.status === 429, answer.headers["retry-after"] !== undefined);
  }));
  assert([...count.keys()].every((status) => ALLOWED.includes(status)), `${[...count]}`);
  assertEquals(count.get(200) ?? 0, server.maker.jobs.length);
  assert((count.get(200) ?? 0) >= 64);
  await lives(server);
});

Deno.test("Bodies that are held are bounded, and let go", async () => {
  const image = png().toBase64();
  const body = { prompt: "a", image, user: "x".repeat(10_000) };
  await using server = serveFake({ limits: { heldBytes: 25_000 } });
  const { maker } = server;
  maker.held = true;
  const edit = () => server.post("/v1/images/edits", body);
  const running = [edit(), server.post("/v1/images/edits", { ...body, stream: true })];
  await maker.until(() => maker.waiting === 2);
  assertEquals((await refused(await edit()))[2], "too-many-bytes");
  maker.release();
  for (const response of await Promise.all(running)) await response.text();
  const after = await edit();
  assertEquals(after.status, 200);
  await after.body?.cancel();
});
