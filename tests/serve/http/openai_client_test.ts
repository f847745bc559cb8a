/** The official client of OpenAI, unchanged. */

// deno-lint-ignore no-import-prefix -- only this test uses it
import OpenAI, { toFile } from "npm:openai@7.59.0";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodePng, readPngText } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { BITS, CARD, type FakeServer, SCALES, serveFake, SIDE } from "./fake_maker.ts";

const TOKEN = "a-token";

function connect(server: FakeServer, apiKey = TOKEN): OpenAI {
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
}

async function pixel(base64: string | undefined): Promise<number[]> {
  const image = await (await openImage(Uint8Array.fromBase64(base64!), "answer")).image();
  return [image.width, image.height, ...image.rgba.subarray(0, 4)];
}

const png = (parameters?: string) =>
  encodePng(
    new Uint8Array(SIDE * SIDE * 4).fill(255),
    SIDE,
    SIDE,
    parameters ? { parameters } : {},
  );

Deno.test("OpenAI's client generates images with consecutive seeds", async () => {
  await using server = serveFake({ token: TOKEN });
  const { data, usage, created, size } = await connect(server).images.generate({
    model: "gpt-image-1",
    prompt: "a square",
    n: 2,
    size: "auto",
    user: "somebody",
    quality: "high",
    ...{ seed: 41, tau: [0.5, 0.6], cfg_scale: 4, include_bits: true },
  });
  assertEquals(await Promise.all(data!.map(({ b64_json }) => pixel(b64_json))), [
    [SIDE, SIDE, SCALES, 41, 0, 255],
    [SIDE, SIDE, SCALES, 42, 0, 255],
  ]);
  assertEquals(usage?.output_tokens, 2 * (1 + 4 + 9 + 16));
  assert(created > 1e9);
  assertEquals(size as string, `${SIDE}x${SIDE}`);
  const [first] = data as unknown as { seed: number; parameters: string; bits: string }[];
  assertEquals(first!.seed, 41);
  assertEquals(Uint8Array.fromBase64(first!.bits), BITS);
  assertEquals(
    readPngText(Uint8Array.fromBase64(data![0]!.b64_json!)).parameters,
    first!.parameters,
  );
  const [job, other] = server.maker.jobs;
  assertEquals(job!.settings, { tau: [0.5, 0.6], cfgScale: 4 });
  assertEquals([job!.seed, other!.seed], ["41", "42"]);
});

Deno.test("OpenAI's client gets JPEG and WebP", async () => {
  await using server = serveFake({ token: TOKEN });
  for (const output_format of ["jpeg", "webp"] as const) {
    const { data } = await connect(server).images.generate({
      prompt: "a square",
      output_format,
      output_compression: 100,
      ...{ seed: 200 },
    });
    const [width, height, red, green] = await pixel(data![0]!.b64_json);
    assertEquals([width, height], [SIDE, SIDE]);
    assert(Math.abs(red! - SCALES) < 6 && Math.abs(green! - 200) < 6, `${red}, ${green}`);
  }
});

Deno.test("OpenAI's client sees each scale, then the image", async () => {
  await using server = serveFake({ token: TOKEN });
  const stream = await connect(server).images.generate({
    prompt: "a square",
    stream: true,
    ...{ seed: 7 },
  });
  const seen: unknown[] = [];
  for await (const event of stream) {
    const [, , red, green] = await pixel(event.b64_json);
    const partial = event.type === "image_generation.partial_image";
    seen.push([
      event.type,
      red,
      green,
      partial ? event.partial_image_index : event.usage.output_tokens,
    ]);
  }
  assertEquals(seen, [
    ...Array.from({ length: SCALES }, (_, i) => ["image_generation.partial_image", i, 7, i]),
    ["image_generation.completed", SCALES, 7, 30],
  ]);
});

Deno.test("partial_images lowers their number, and spreads them", async () => {
  await using server = serveFake({ token: TOKEN });
  for (const [partial_images, expected] of [[0, []], [1, [1]], [3, [0, 1, 2]]] as const) {
    const stream = await connect(server).images.generate({
      prompt: "a",
      stream: true,
      partial_images,
    });
    const scales: unknown[] = [];
    for await (const event of stream) {
      if (event.type === "image_generation.partial_image") {
        scales.push((event as unknown as { scale: number }).scale);
      }
    }
    assertEquals(scales, [...expected]);
  }
});

Deno.test("OpenAI's client edits a file, with a mask that is transparent where it may change", async () => {
  await using server = serveFake({ token: TOKEN });
  const mask = new Uint8Array(SIDE * SIDE * 4).fill(255);
  for (let i = 0; i < SIDE * 4; i += 4) mask[i + 3] = 0;
  const { data } = await connect(server).images.edit({
    image: await toFile(png(), "image.png", { type: "image/png" }),
    mask: await toFile(encodePng(mask, SIDE, SIDE), "mask.png", { type: "image/png" }),
    prompt: "another square",
    n: 2,
    size: `${SIDE}x${SIDE}` as "auto",
    ...{ seed: "18446744073709551615", strength: 0.25, tau: [0.5, 0.75], cfg_scale: "3,2" },
  });
  assertEquals(data!.length, 2);
  const [job, next] = server.maker.jobs;
  assertEquals([job!.seed, next!.seed], ["18446744073709551615", "0"]);
  const { init, mask: sent, ...others } = job!.settings;
  assertEquals(others, {
    width: SIDE,
    height: SIDE,
    cfgScale: [3, 2],
    tau: [0.5, 0.75],
    strength: 0.25,
  });
  assertEquals(Uint8Array.fromBase64(init!), png());
  const { rgba } = await (await openImage(Uint8Array.fromBase64(sent!), "mask")).image();
  assertEquals([...rgba.subarray(0, 4), ...rgba.subarray(SIDE * 4, SIDE * 4 + 4)], [
    ...[255, 255, 255, 255],
    ...[0, 0, 0, 255],
  ]);
});

Deno.test("A mask without transparent pixels is used as it is", async () => {
  await using server = serveFake({ token: TOKEN });
  const mask = png();
  await connect(server).images.edit({
    image: await toFile(png(), "image.png", { type: "image/png" }),
    mask: await toFile(mask, "mask.png", { type: "image/png" }),
    prompt: "another square",
  });
  assertEquals(Uint8Array.fromBase64(server.maker.jobs[0]!.settings.mask!), mask);
});

Deno.test("OpenAI's client streams edits, of bits with scales to keep too", async () => {
  await using server = serveFake({ token: TOKEN });
  const stream = await connect(server).images.edit({
    image: [await toFile(BITS, "image.bits")],
    prompt: "the rest",
    stream: true,
    ...{ keep_scales: 2 },
  });
  const types: string[] = [];
  for await (const { type } of stream) types.push(type);
  assertEquals(types, [
    ...new Array(SCALES).fill("image_edit.partial_image"),
    "image_edit.completed",
  ]);
  const { init, ...others } = server.maker.jobs[0]!.settings;
  assertEquals(others, { keepScales: 2 });
  assertEquals(Uint8Array.fromBase64(init!), BITS);
});

Deno.test("OpenAI's client makes variations of a PNG that carries its prompt", async () => {
  await using server = serveFake({ token: TOKEN });
  const client = connect(server);
  const image = await toFile(
    png("a red apple\nSteps: 4, Sampler: a, CFG scale: 3, Seed: 7, Size: 8x8"),
    "image.png",
  );
  const { data } = await client.images.createVariation({
    image,
    n: 2,
    response_format: "b64_json",
  });
  assertEquals(data!.length, 2);
  assertEquals(server.maker.jobs[0]!.prompt, "a red apple");
  assertEquals(server.maker.jobs[0]!.settings.strength, 0.5);
  const foreign = await toFile(png(), "image.png");
  const error = await assertRejects(
    () => client.images.createVariation({ image: foreign }),
    OpenAI.BadRequestError,
  );
  assertEquals([error.param, error.code], ["prompt", "no-prompt"]);
});

Deno.test("OpenAI's client lists the model, and knows its errors", async () => {
  await using server = serveFake({ token: TOKEN, models: ["folder"] });
  const client = connect(server);
  const models: OpenAI.Model[] = [];
  for await (const model of client.models.list()) models.push(model);
  const [model] =
    models as (OpenAI.Model & { bitwise: { sizes: unknown; limits: { n: number } } })[];
  assertEquals([model!.id, model!.bitwise.sizes], [CARD.name, CARD.sizes]);
  assertEquals(model!.bitwise.limits.n, 16);
  assertEquals((await client.models.retrieve("folder")).id, CARD.name);

  const generate = (more: object) => () => client.images.generate({ prompt: "a", ...more });
  const bad = await assertRejects(generate({ size: "512x512" }), OpenAI.BadRequestError);
  assertEquals([bad.param, bad.type, bad.code], ["size", "invalid_request_error", "bad-size"]);
  assert(bad.message.includes("8x8, 16x8"), bad.message);
  await assertRejects(generate({ model: "llama" }), OpenAI.NotFoundError);
  await assertRejects(generate({ n: 17 }), OpenAI.BadRequestError);
  await assertRejects(generate({ prompt: "wrong" }), OpenAI.BadRequestError, "it is wrong");
  const broken = await assertRejects(generate({ prompt: "broken" }), OpenAI.InternalServerError);
  assert(!broken.message.includes("secret"));
  const other = connect(server, "another token");
  await assertRejects(() => other.models.list(), OpenAI.AuthenticationError);
  server.maker.queue = 0;
  const busy = await assertRejects(generate({}), OpenAI.RateLimitError);
  assertEquals(busy.headers.get("retry-after"), "7");
  const early = await assertRejects(generate({ stream: true }), OpenAI.RateLimitError);
  assertEquals(early.code, "queue-full");
});

Deno.test("An error in the middle of a stream reaches OpenAI's client", async () => {
  // long enough for two scales on a busy machine
  await using server = serveFake({ token: TOKEN, limits: { requestSeconds: 2 } });
  const { maker } = server;
  Object.assign(maker, { held: true, heldAt: 2 });
  const stream = await connect(server).images.generate({ prompt: "a", stream: true });
  let seen = 0;
  const read = async () => {
    for await (const _event of stream) seen++;
  };
  const error = await assertRejects(read, OpenAI.APIError);
  assertEquals(seen, 2);
  assertEquals((error as InstanceType<typeof OpenAI.APIError>).code, "timeout");
  assertEquals(maker.aborted, 1);
});

Deno.test("A client that hangs up frees its jobs", async () => {
  await using server = serveFake({ token: TOKEN });
  const { maker } = server;
  maker.held = true;
  for (const stream of [false, true]) {
    const controller = new AbortController();
    const asked = connect(server).images.generate({ prompt: "a", n: 3, stream }, {
      signal: controller.signal,
    });
    const failed = asked.then(() => {}, () => {});
    await maker.until(() => maker.state().running === 3);
    controller.abort();
    await maker.until(() => maker.state().running === 0);
    await failed;
  }
  assertEquals(maker.aborted, 6);
});
