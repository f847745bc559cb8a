/** `/sdapi/v1`, the API of the AUTOMATIC1111 web UI. */

import { type RouteConfig, z } from "../../../deps/hono.ts";
import { readJson } from "../base/body.ts";
import { Deadline } from "../base/deadline.ts";
import { answer, type Ctx, json, type Routes } from "../base/routes.ts";
import { orderOf } from "../making/orders.ts";
import { QUALITY, seedOf, sendImage, sendPreview } from "../making/results.ts";
import { imagesOf, type SentImages } from "../making/sent_images.ts";
import { makeAll, type Service } from "../making/service.ts";
import { bytesOf } from "../pictures/sent.ts";
import { LISTS } from "./info.ts";
import { progressOf, type Run, Runs } from "./progress.ts";
import {
  ImagesAnswer,
  Img2ImgRequest,
  Options,
  Progress,
  SdError,
  SdModel,
  Txt2ImgRequest,
} from "./schemas.ts";

type Fields = z.infer<typeof Txt2ImgRequest>;
/** What this API calls fields. */
const NAMES = { n: "batch_size", size: "width", image: "init_images" };
const PNG = { format: "png", quality: QUALITY, urls: false, origin: "" } as const;

/** Adds the routes. */
export function addA1111(routes: Routes, service: Service): void {
  const { limits } = service;
  const runs = new Runs();
  routes.add(spec("post", "txt2img", "Makes images from a prompt", Txt2ImgRequest), async (c) => {
    const fields = await readJson(c.req.raw, c.var.held, limits.textBytes, Txt2ImgRequest);
    return await make(c, service, runs, fields, {});
  });
  routes.add(spec("post", "img2img", "Draws an image again", Img2ImgRequest), async (c) => {
    const fields = await readJson(c.req.raw, c.var.held, limits.bodyBytes, Img2ImgRequest);
    const { init_images: [image], mask } = fields;
    return await make(c, service, runs, fields, {
      image: bytesOf(image!, "init_images"),
      mask: mask ? bytesOf(mask, "mask") : undefined,
      invert: Boolean(fields.inpainting_mask_invert),
    });
  });
  routes.add(spec("get", "progress", "Says how far the last request is"), async (c) => {
    runs.ask();
    const { last } = runs;
    const image = c.req.query("skip_current_image") === "true" ? null : last?.latest;
    const current_image = image ? await sendPreview(service, image, PNG, c.req.raw.signal) : null;
    return c.json({ ...progressOf(last), current_image });
  });
  for (const [name, list] of Object.entries(LISTS)) {
    routes.add(spec("get", name, "Says what there is"), (c) => {
      return c.json(list(service.model.card) as object);
    });
  }
  routes.add(spec("post", "options", "Accepts options, and ignores them"), (c) => c.json(null));
  for (const name of ["interrupt", "skip"]) {
    routes.add(spec("post", name, "Ends what runs; its answer has the images so far"), (c) => {
      runs.interrupt();
      return c.json({});
    });
  }
  for (const name of ["refresh-checkpoints", "refresh-loras", "refresh-vae"]) {
    routes.add(spec("post", name, "Does nothing: there is one model"), (c) => c.json(null));
  }
}

async function make(
  c: Ctx,
  service: Service,
  runs: Runs,
  fields: Fields & { readonly denoising_strength?: number | null },
  files: SentImages,
): Promise<Response> {
  const { model: { card }, limits } = service;
  using deadline = new Deadline(limits.requestSeconds, c.req.raw.signal);
  const images = await imagesOf(service, files, deadline.signal, NAMES);
  const n = (fields.batch_size ?? 1) * (fields.n_iter ?? 1);
  const wishes = { ...fields, n, ...images, strength: fields.denoising_strength };
  const order = orderOf(wishes, card, limits, NAMES);
  const run = runs.begin(n, () => deadline.abort());
  const previews = runs.watched;
  const done: (Image | undefined)[] = new Array(n).fill(undefined);
  try {
    await makeAll(service, order, deadline.signal, {
      watch: (i) => ({ previews, onScale: (done) => run.onScale(i, done) }),
      use: async (made, i, signal) => {
        const sent = await sendImage(service, made, PNG, signal);
        if ("b64_json" in sent) done[i] = { file: sent.b64_json, made, seed: seedOf(order, i) };
      },
    });
  } catch (error) {
    if (!run.interrupted) throw error;
  } finally {
    runs.end(run);
  }
  const made = done.filter((image) => image !== undefined);
  return c.json({
    images: fields.send_images === false ? [] : made.map(({ file }) => file),
    parameters: withoutImages(fields),
    info: JSON.stringify(infoOf(service, fields, made, run)),
  });
}

interface Image {
  readonly file: string;
  readonly made: { readonly parameters: string; readonly width: number; readonly height: number };
  readonly seed: number | string;
}

/** What `info` says, as JSON in a string. */
function infoOf({ model: { card } }: Service, fields: Fields, images: Image[], run: Run) {
  const [first] = images;
  const negative = fields.negative_prompt ?? "";
  return {
    prompt: fields.prompt,
    all_prompts: images.map(() => fields.prompt),
    negative_prompt: negative,
    all_negative_prompts: images.map(() => negative),
    seed: first?.seed ?? -1,
    all_seeds: images.map(({ seed }) => seed),
    subseed: -1,
    all_subseeds: images.map(() => -1),
    width: first?.made.width ?? 0,
    height: first?.made.height ?? 0,
    sampler_name: "Bitwise",
    steps: run.steps[1],
    cfg_scale: fields.cfg_scale ?? card.defaults.cfgScale,
    batch_size: images.length,
    sd_model_name: card.name,
    index_of_first_image: 0,
    infotexts: images.map(({ made }) => made.parameters),
    job_timestamp: progressOf(run).state.job_timestamp,
    version: "bitwise",
  };
}

/** The request as the answer repeats it: what was sent as an image is left out. */
function withoutImages(fields: Record<string, unknown>): Record<string, unknown> {
  const { init_images: _images, mask: _mask, ...others } = fields;
  return others;
}

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  txt2img: ImagesAnswer,
  img2img: ImagesAnswer,
  progress: Progress,
  "sd-models": z.array(SdModel),
  options: Options,
};

function spec(
  method: "get" | "post",
  name: string,
  summary: string,
  body?: z.ZodType,
): RouteConfig {
  return {
    method,
    path: `/sdapi/v1/${name}`,
    summary,
    tags: ["A1111"],
    ...body && { request: { body: { content: json(body), required: true } } },
    responses: {
      200: answer("The answer", SCHEMAS[name]),
      ...body && { 422: answer("A field is wrong", SdError) },
    },
  };
}
