/** `/predictions`, the API of Replicate's cog. */

import type { RouteConfig, z } from "../../../deps/hono.ts";
import { within } from "../../../engine/mod.ts";
import { readJson } from "../base/body.ts";
import { Deadline } from "../base/deadline.ts";
import { BusyError } from "../../jobs/busy_error.ts";
import { badField } from "../base/fields.ts";
import { answer, type Ctx, json, pathParam, type Routes } from "../base/routes.ts";
import { type Order, orderOf } from "../making/orders.ts";
import { checkUrls, type Form, QUALITY, sendImage } from "../making/results.ts";
import { imagesOf } from "../making/sent_images.ts";
import { makeAll, type Service } from "../making/service.ts";
import { bytesOf } from "../pictures/sent.ts";
import { type OnePrediction, Predictions, type Work } from "./predictions.ts";
import { CogError, Prediction, type PredictionInput, PredictionRequest } from "./schemas.ts";

type Input = z.infer<typeof PredictionInput>;

/** What this API calls fields. */
const NAMES = {
  prompt: "input.prompt",
  negative_prompt: "input.negative_prompt",
  n: "input.num_outputs",
  seed: "input.seed",
  size: "input.width",
  image: "input.image",
  mask: "input.mask",
  keep_scales: "input.keep_scales",
};

/** Adds the routes; returns the predictions, to be closed. */
export function addPredictions(routes: Routes, service: Service): Predictions {
  const predictions = new Predictions(service);
  const { bodyBytes } = service.limits;
  const read = (c: Ctx) => readJson(c.req.raw, c.var.held, bodyBytes, PredictionRequest);
  routes.add(spec("post", "/predictions", "Makes a prediction"), async (c) => {
    const { id, input } = await read(c);
    return await predict(c, service, predictions, id ?? crypto.randomUUID(), input, () => {
      throw badField("id", "there is a prediction of that id");
    });
  });
  routes.add(spec("put", "/predictions/{id}", "Makes a prediction, once"), async (c) => {
    const { id, input } = await read(c);
    const name = c.req.param("id")!;
    if (id != null && id !== name) throw badField("id", "the path has another one");
    if (!/^[\w-]{1,64}$/.test(name)) throw badField("id", "give 1 to 64 letters, digits, - and _");
    return await predict(c, service, predictions, name, input, (found) => answerWith(c, found));
  });
  routes.add(spec("get", "/predictions/{id}", "Returns a prediction"), (c) => {
    return c.json(predictions.get(c.req.param("id")!).body);
  });
  routes.add(spec("post", "/predictions/{id}/cancel", "Cancels a prediction"), async (c) => {
    const prediction = predictions.get(c.req.param("id")!);
    prediction.cancel();
    await prediction.ended;
    return c.json(prediction.body);
  });
  return predictions;
}

/**
 * Makes a prediction.
 *
 * @param again Answers if there is one of that id.
 */
async function predict(
  c: Ctx,
  service: Service,
  predictions: Predictions,
  id: string,
  input: Input,
  again: (found: OnePrediction) => Response,
): Promise<Response> {
  const early = predictions.find(id);
  if (early) return again(early);
  const { signal } = c.req.raw;
  const { order, form } = await check(service, input, c.req.raw);
  // it may have begun while images were read
  const late = predictions.find(id);
  if (late) return again(late);
  const { image: _image, mask: _mask, ...shown } = input;
  const work = workOf(service, order, form);
  const prediction = predictions.start(id, shown, form.origin, work);
  void c.var.held.until(prediction.ended);
  const { wait, seconds } = preference(c.req.header("prefer"));
  if (!wait) await Promise.race([prediction.ended, soon()]);
  else {
    const cancel = () => prediction.cancel();
    // who waits for all of it and hangs up, be it before it began, wants it no longer
    if (seconds === undefined && signal.aborted) cancel();
    else if (seconds === undefined) signal.addEventListener("abort", cancel);
    await (seconds === undefined ? prediction.ended : within(1000 * seconds, prediction.ended));
    signal.removeEventListener("abort", cancel);
  }
  if (prediction.error instanceof BusyError) {
    predictions.drop(id);
    throw prediction.error;
  }
  return answerWith(c, prediction);
}

function answerWith(c: Ctx, { body, runs }: OnePrediction): Response {
  return c.json(body, runs ? 202 : 200);
}

/** What `Prefer` asks for: cog answers when all is done, unless it says otherwise. */
function preference(header = ""): { wait: boolean; seconds?: number } {
  if (/(^|[,\s])respond-async($|[,;\s])/.test(header)) return { wait: false };
  const seconds = /(^|[,\s])wait=(\d{1,5})($|[,;\s])/.exec(header)?.[2];
  return { wait: true, ...seconds !== undefined && { seconds: Number(seconds) } };
}

/** What fails at once has failed after a turn of the event loop. */
function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

async function check(
  service: Service,
  input: Input,
  request: Request,
): Promise<{ order: Order; form: Form }> {
  const { model: { card }, limits } = service;
  const urls = input.output_urls ?? false;
  checkUrls(service, urls, "input.output_urls");
  const { guidance, num_outputs, image, mask, ...others } = input;
  const files = {
    image: image ? bytesOf(image, "input.image") : undefined,
    mask: mask ? bytesOf(mask, "input.mask") : undefined,
  };
  using deadline = new Deadline(limits.requestSeconds, request.signal);
  const images = await imagesOf(service, files, deadline.signal, NAMES);
  const wishes = { ...others, ...images, cfg_scale: guidance, n: num_outputs };
  const order = orderOf(wishes, card, limits, NAMES);
  const format = input.output_format ?? "png";
  const quality = input.output_quality ?? QUALITY;
  return { order, form: { format, quality, urls, origin: service.originOf(request) } };
}

/** Makes the images of a prediction. */
function workOf(service: Service, order: Order, form: Form): Work {
  return async (signal, log) => {
    using deadline = new Deadline(service.limits.requestSeconds, signal);
    return await makeAll(service, order, deadline.signal, {
      watch: (index) => ({
        onScale: ({ scale, scales }) => log(`Image ${index + 1}: scale ${scale + 1} of ${scales}`),
      }),
      use: async (made, _index, signal) => {
        for (const line of made.warnings) log(line);
        const sent = await sendImage(service, made, form, signal);
        return "url" in sent ? sent.url : `data:image/${form.format};base64,${sent.b64_json}`;
      },
    });
  };
}

function spec(method: "get" | "post" | "put", path: string, summary: string): RouteConfig {
  const made = method === "put" || path === "/predictions";
  return {
    method,
    path,
    summary,
    tags: ["cog"],
    request: {
      ...path.includes("{id}") && { params: pathParam("id") },
      ...made && { body: { content: json(PredictionRequest), required: true } },
    },
    responses: {
      200: answer("The prediction", Prediction),
      ...made
        ? {
          202: answer("The prediction, which still runs", Prediction),
          422: answer("A field is wrong", CogError),
        }
        : { 404: answer("There is none of that id", CogError) },
    },
  };
}
