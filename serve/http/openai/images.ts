/** `/v1/images`: generations, edits and variations. */

import type { RouteConfig, z } from "../../../deps/hono.ts";
import { readForm, readJson, typeOf, wrongType } from "../base/body.ts";
import { Deadline } from "../base/deadline.ts";
import { RequestError } from "../base/errors.ts";
import { badField } from "../base/fields.ts";
import { answer, type Ctx, json, type Routes } from "../base/routes.ts";
import { orderOf, readSize, type Wishes } from "../making/orders.ts";
import { checkUrls, QUALITY } from "../making/results.ts";
import { imagesOf } from "../making/sent_images.ts";
import { makeAll, type Service } from "../making/service.ts";
import { bytesOf } from "../pictures/sent.ts";
import { about, type Asked, dataOf, type Kind, now, usage } from "./answers.ts";
import type { Models } from "./models.ts";
import {
  type CommonFields,
  CompletedEvent,
  type EditFields,
  EditRequest,
  ErrorResponse,
  GenerationRequest,
  ImagesResponse,
  PartialImageEvent,
  VariationRequest,
} from "./schemas.ts";
import { streamImages } from "./stream.ts";

/** Share of the scales that a variation draws again, as on the command line. */
const VARIATION = 0.5;

/** Adds the routes. */
export function addImages(routes: Routes, service: Service, models: Models): void {
  const { textBytes } = service.limits;
  routes.add(
    spec("generations", "Makes images from a prompt", json(GenerationRequest)),
    async (c) => {
      const { card } = service.model;
      const fields = await readJson(c.req.raw, c.var.held, textBytes, GenerationRequest);
      models.check(fields.model);
      const wishes = { ...fields, ...readSize(card, fields.size) };
      return await make(c, service, "image_generation", fields, () => wishes);
    },
  );
  routes.add(
    spec("edits", "Draws parts or scales of an image again", both(EditRequest)),
    async (c) => {
      const { card } = service.model;
      const { fields, image, mask } = await readEdit(c, service, EditRequest);
      models.check(fields.model);
      const size = readSize(card, fields.size);
      return await make(c, service, "image_edit", fields, async (signal) => ({
        ...fields,
        ...size,
        ...await imagesOf(service, { image, mask, alpha: true }, signal),
      }));
    },
  );
  routes.add(
    spec("variations", "Keeps the first scales of an image", both(VariationRequest)),
    async (c) => {
      const { card } = service.model;
      const { fields, image } = await readEdit(c, service, VariationRequest);
      models.check(fields.model);
      const size = readSize(card, fields.size);
      const kept = fields.keep_scales == null && { strength: fields.strength ?? VARIATION };
      return await make(c, service, "image_edit", fields, async (signal) => ({
        ...fields,
        ...size,
        ...kept,
        ...await imagesOf(service, { image }, signal),
        prompt: fields.prompt ?? await promptOf(service, image, signal),
      }));
    },
  );
}

async function make(
  c: Ctx,
  service: Service,
  kind: Kind,
  fields: CommonFields,
  wishesOf: (signal: AbortSignal) => Wishes | Promise<Wishes>,
): Promise<Response> {
  const urls = fields.response_format === "url";
  checkUrls(service, urls, "response_format");
  const form = {
    format: fields.output_format ?? "png",
    quality: fields.output_compression ?? QUALITY,
    urls,
    origin: service.originOf(c.req.raw),
  } as const;
  using ends = new DisposableStack();
  const deadline = ends.use(new Deadline(service.limits.requestSeconds, c.req.raw.signal));
  const order = orderOf(await wishesOf(deadline.signal), service.model.card, service.limits);
  const asked: Asked = { kind, fields, order, form };
  if (fields.stream) {
    // it goes on until the last event
    ends.move();
    return await streamImages(service, asked, deadline, c.var.held);
  }
  const images = await makeAll(service, order, deadline.signal, {
    use: async (made, index, signal) => ({
      made,
      data: await dataOf(service, asked, made, index, signal),
    }),
  });
  const { made } = images[0]!;
  return c.json({
    created: now(),
    ...about(made, form),
    data: images.map(({ data }) => data),
    usage: usage(service, made, images.length),
  });
}

/** An edit's fields, and its files. */
interface Edit<Fields> {
  readonly fields: Fields;
  readonly image: Uint8Array<ArrayBuffer>;
  readonly mask?: Uint8Array<ArrayBuffer>;
}

/** Reads an edit from a form, as OpenAI's clients send it, or from JSON. */
async function readEdit<Schema extends typeof EditRequest | typeof VariationRequest>(
  c: Ctx,
  { limits }: Service,
  schema: Schema,
): Promise<Edit<z.infer<Schema>>> {
  const type = typeOf(c.req.raw);
  if (type !== "application/json" && type !== "multipart/form-data") {
    throw wrongType("multipart/form-data or application/json");
  }
  const { bodyBytes } = limits;
  const { fields, files } = type === "application/json"
    ? { fields: await readJson(c.req.raw, c.var.held, bodyBytes, schema), files: new Map() }
    : await readForm(c.req.raw, c.var.held, bodyBytes, schema, ["image", "mask"]);
  const { image, images, mask } = fields as Partial<EditFields>;
  const file = files.get("image") ?? textOf(image ?? images, "image");
  if (!file) throw badField("image", "give the image to start from");
  return {
    fields: fields as z.infer<Schema>,
    image: file,
    mask: files.get("mask") ?? textOf(mask, "mask"),
  };
}

/** The bytes of an image in JSON. */
function textOf(
  value: EditFields["image"] | EditFields["mask"],
  param: string,
): Uint8Array<ArrayBuffer> | undefined {
  const one = Array.isArray(value) ? value[0] : value;
  if (one === undefined || one === null) return undefined;
  return bytesOf(typeof one === "string" ? one : one.image_url, param);
}

async function promptOf(
  { pictures }: Service,
  file: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<string> {
  const prompt = await pictures.ask({ kind: "prompt", file }, signal);
  if (prompt !== null) return prompt;
  const message =
    "Cannot vary the image without a prompt: it carries none; say in prompt what it shows";
  throw new RequestError(400, "no-prompt", message, { param: "prompt" });
}

/** A body that may be a form or JSON. */
function both(schema: typeof EditRequest | typeof VariationRequest) {
  return { "multipart/form-data": { schema }, ...json(schema) };
}

function spec(
  name: string,
  summary: string,
  content: ReturnType<typeof json>,
): RouteConfig {
  return {
    method: "post",
    path: `/v1/images/${name}`,
    summary,
    tags: ["OpenAI"],
    request: { body: { content, required: true } },
    responses: {
      200: {
        description: "The images; with stream, events",
        content: {
          ...json(ImagesResponse),
          "text/event-stream": { schema: PartialImageEvent.or(CompletedEvent) },
        },
      },
      400: answer("The request is wrong", ErrorResponse),
      429: answer("The queue is full; Retry-After says when to come back", ErrorResponse),
    },
  };
}
