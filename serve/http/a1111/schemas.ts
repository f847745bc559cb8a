/** Requests and answers in the shape of the AUTOMATIC1111 web UI. */

import { z } from "../../../deps/hono.ts";
import { samplingFields, seedField } from "../base/fields.ts";

const ignored = z.unknown().optional().describe("Accepted and ignored");

const common = {
  prompt: z.string().min(1),
  ...samplingFields,
  seed: seedField,
  width: z.int().nullish().describe("Pixels across; the model's own if absent"),
  height: z.int().nullish(),
  batch_size: z.int().min(1).nullish().describe("Times n_iter: the number of images"),
  n_iter: z.int().min(1).nullish(),
  send_images: z.boolean().nullish().describe("Whether the answer has the images (true)"),
  steps: ignored,
  sampler_name: ignored,
  sampler_index: ignored,
  scheduler: ignored,
  styles: ignored,
  override_settings: ignored,
  alwayson_scripts: ignored,
};

/** `POST /sdapi/v1/txt2img`. What it has besides is ignored. */
export const Txt2ImgRequest = z.object(common).openapi("Txt2ImgRequest");

/** `POST /sdapi/v1/img2img`. */
export const Img2ImgRequest = z.object({
  ...common,
  init_images: z.array(z.string()).length(1, { error: "give one image" }).describe(
    "The image to edit, in base64 or as a data URL",
  ),
  mask: z.string().nullish().describe("White parts may change; in base64 or as a data URL"),
  inpainting_mask_invert: z.union([z.literal(0), z.literal(1), z.boolean()]).nullish().describe(
    "Whether black parts may change instead",
  ),
  denoising_strength: z.number().min(0).max(1).nullish().describe(
    "Share of the scales to draw again, counted from the last",
  ),
}).openapi("Img2ImgRequest");

/** The answer to both. */
export const ImagesAnswer = z.object({
  images: z.array(z.string()).describe("PNG files in base64"),
  parameters: z.record(z.string(), z.unknown()).describe("The request without its images"),
  info: z.string().describe("JSON: seed, all_seeds, infotexts and so on"),
}).openapi("SdImages");

/** `GET /sdapi/v1/progress`. */
export const Progress = z.object({
  progress: z.number().describe("Of the last request, from 0 to 1; 0 if none runs"),
  eta_relative: z.number().describe("Seconds to its end"),
  state: z.object({
    skipped: z.boolean(),
    interrupted: z.boolean(),
    stopping_generation: z.boolean(),
    job: z.string(),
    job_count: z.number(),
    job_timestamp: z.string(),
    job_no: z.number(),
    sampling_step: z.number(),
    sampling_steps: z.number(),
  }),
  current_image: z.string().nullable().describe(
    "The last scale in base64, if progress was asked for within the minute before the request",
  ),
  textinfo: z.string().nullable(),
}).openapi("SdProgress");

/** One of `GET /sdapi/v1/sd-models`. */
export const SdModel = z.object({
  title: z.string(),
  model_name: z.string(),
  hash: z.string().nullable(),
  sha256: z.string().nullable(),
  filename: z.string(),
  config: z.string().nullable(),
}).openapi("SdModel");

/** `GET /sdapi/v1/options`. */
export const Options = z.record(z.string(), z.unknown()).openapi("SdOptions");

/** An error. */
export const SdError = z.object({
  error: z.string(),
  detail: z.string(),
  body: z.string(),
  errors: z.string(),
}).openapi("SdError");
