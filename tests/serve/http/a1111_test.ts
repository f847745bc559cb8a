import { assert, assertEquals } from "@std/assert";
import { encodePng, readPngText } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { CARD, SCALES, serveFake, SIDE } from "./fake_maker.ts";

/** What sdwebuiapi sends, without what it leaves at its defaults. */
const TXT2IMG = {
  prompt: "a square",
  negative_prompt: "a circle",
  seed: 9,
  subseed: -1,
  styles: [],
  steps: 20,
  sampler_name: "Euler a",
  scheduler: "Automatic",
  cfg_scale: 7,
  width: SIDE,
  height: SIDE,
  batch_size: 2,
  n_iter: 1,
  enable_hr: false,
  override_settings: {},
  override_settings_restore_afterwards: true,
  alwayson_scripts: {},
  send_images: true,
  save_images: false,
};

const png = () => encodePng(new Uint8Array(SIDE * SIDE * 4).fill(255), SIDE, SIDE);

Deno.test("txt2img answers with PNGs that carry their parameters, and with info as a string", async () => {
  await using server = serveFake();
  const answer = await (await server.post("/sdapi/v1/txt2img", TXT2IMG)).json();
  const info = JSON.parse(answer.info);
  assertEquals([info.seed, info.all_seeds, info.prompt], [9, [9, 10], "a square"]);
  assertEquals([info.width, info.height, info.cfg_scale, info.steps], [SIDE, SIDE, 7, SCALES]);
  const texts = answer.images.map((image: string) =>
    readPngText(Uint8Array.fromBase64(image)).parameters
  );
  assertEquals(texts, info.infotexts);
  assertEquals(answer.parameters.negative_prompt, "a circle");
  assertEquals(server.maker.jobs[0]!.settings, {
    negativePrompt: "a circle",
    width: SIDE,
    height: SIDE,
    cfgScale: 7,
  });
});

Deno.test("img2img takes data URLs and plain base64, a strength and a mask to invert", async () => {
  await using server = serveFake();
  const mask = new Uint8Array(SIDE * SIDE * 4).fill(255);
  mask.fill(0, 0, 3);
  const response = await server.post("/sdapi/v1/img2img", {
    ...TXT2IMG,
    init_images: [`data:image/png;base64,${png().toBase64()}`],
    mask: encodePng(mask, SIDE, SIDE).toBase64(),
    inpainting_mask_invert: 1,
    denoising_strength: 0.5,
    resize_mode: 0,
    inpainting_fill: 0,
    inpaint_full_res: true,
    mask_blur: 4,
  });
  const answer = await response.json();
  assertEquals([answer.images.length, "init_images" in answer.parameters], [2, false]);
  const { init, mask: sent, strength } = server.maker.jobs[0]!.settings;
  assertEquals([Uint8Array.fromBase64(init!), strength], [png(), 0.5]);
  const { rgba } = await (await openImage(Uint8Array.fromBase64(sent!), "mask")).image();
  assertEquals([...rgba.subarray(0, 8)], [255, 255, 255, 255, 0, 0, 0, 255]);
});

Deno.test("progress tells of the request that runs, with the image so far", async () => {
  await using server = serveFake();
  const { maker } = server;
  const progress = async () => await (await server.ask("/sdapi/v1/progress")).json();
  const idle = await progress();
  assertEquals([idle.progress, idle.state.job_count, idle.current_image], [0, 0, null]);
  Object.assign(maker, { held: true, heldAt: 2 });
  const asked = server.post("/sdapi/v1/txt2img", { ...TXT2IMG, n_iter: 1, batch_size: 1 });
  await maker.until(() => maker.waiting === 1);
  const half = await progress();
  assertEquals([half.progress, half.state.job_count, half.state.sampling_step], [0.5, 1, 2]);
  assertEquals(half.state.sampling_steps, SCALES);
  const { rgba } = await (await openImage(Uint8Array.fromBase64(half.current_image), "so far"))
    .image();
  assertEquals([...rgba.subarray(0, 4)], [1, 9, 0, 255]);
  maker.release();
  assertEquals((await asked).status, 200);
  await (await asked).body?.cancel();
});

Deno.test("interrupt ends what runs", async () => {
  await using server = serveFake();
  const { maker } = server;
  maker.held = true;
  const asked = server.post("/sdapi/v1/txt2img", TXT2IMG);
  await maker.until(() => maker.waiting === 2);
  await (await server.ask("/sdapi/v1/interrupt", { method: "POST" })).body?.cancel();
  const answer = await (await asked).json();
  assertEquals([answer.images, maker.aborted], [[], 2]);
});

Deno.test("Clients of A1111 find what they ask for when they start", async () => {
  await using server = serveFake({ token: "secret" });
  const headers = { authorization: `Basic ${btoa("user:secret")}` };
  const get = async (name: string) => {
    const response = await server.ask(`/sdapi/v1/${name}`, { headers });
    assertEquals(response.status, 200, name);
    return await response.json();
  };
  const [model] = await get("sd-models");
  const options = await get("options");
  assertEquals([model.title, options.sd_model_checkpoint], [CARD.name, CARD.name]);
  const [sampler] = await get("samplers");
  assert(typeof sampler.name === "string" && Array.isArray(sampler.aliases));
  assertEquals(await get("loras"), []);
  assertEquals((await get("scripts")).txt2img, []);
  const set = await server.post("/sdapi/v1/options", { sd_model_checkpoint: CARD.name }, {
    headers,
  });
  assertEquals([set.status, await set.json()], [200, null]);
});

Deno.test("A1111's clients get errors in their shape", async () => {
  await using server = serveFake();
  const fail = async (body: unknown) => {
    const response = await server.post("/sdapi/v1/txt2img", body);
    const { error, detail } = await response.json();
    return [response.status, error, detail];
  };
  assertEquals(await fail({ ...TXT2IMG, width: 512 }), [
    422,
    "bad-size",
    "Cannot use width: squares makes 8x8, 16x8; give one of them, or none",
  ]);
  assertEquals(
    (await fail({ ...TXT2IMG, batch_size: 99 }))[2],
    "Cannot use batch_size: 99 images are more than 16",
  );
  assertEquals((await fail({ ...TXT2IMG, prompt: 7 }))[0], 422);
  server.maker.queue = 0;
  assertEquals((await fail(TXT2IMG)).slice(0, 2), [429, "queue-full"]);
});
