/** Requests and answers in the shape of Replicate's cog. */

import { z } from "../../../deps/hono.ts";
import {
  editingFields,
  outputFields,
  promptField,
  samplingFields,
  seedField,
} from "../base/fields.ts";

const { cfg_scale, ...sampling } = samplingFields;
const { output_format } = outputFields;

/** What a prediction is made from. */
export const PredictionInput = z.object({
  prompt: promptField,
  guidance: cfg_scale,
  ...sampling,
  seed: seedField,
  num_outputs: z.int().min(1).nullish().describe("Number of images, with consecutive seeds (1)"),
  width: z.int().nullish().describe("Pixels across; the model's own if absent"),
  height: z.int().nullish(),
  image: z.string().nullish().describe("An image to edit: a data URL or base64; no other URL"),
  mask: z.string().nullish().describe("White parts may change; the same holds"),
  ...editingFields,
  output_format,
  output_quality: outputFields.output_compression,
  output_urls: z.boolean().nullish().describe("Whether images are behind URLs, not in data URLs"),
}).openapi("PredictionInput");

const unsupported = (what: string) =>
  z.null({ error: `this server calls no other one: ${what}` }).optional();

/** `POST /predictions` and `PUT /predictions/{id}`. */
export const PredictionRequest = z.object({
  id: z.string().regex(/^[\w-]{1,64}$/, { error: "give 1 to 64 letters, digits, - and _" })
    .nullish(),
  input: PredictionInput,
  webhook: unsupported("ask for the prediction instead"),
  webhook_events_filter: z.unknown().optional().describe("Ignored"),
  output_file_prefix: unsupported("set output_urls instead"),
}).openapi("PredictionRequest");

/** A prediction. */
export const Prediction = z.object({
  id: z.string(),
  status: z.enum(["starting", "processing", "succeeded", "failed", "canceled"]),
  input: z.record(z.string(), z.unknown()).describe("Without the images"),
  output: z.array(z.string()).nullable().describe("An image each: data URLs, or URLs"),
  error: z.string().nullable(),
  logs: z.string().describe("Progress and warnings, one line each"),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  metrics: z.object({ predict_time: z.number().optional().describe("Seconds") }),
  urls: z.object({ get: z.string(), cancel: z.string() }),
}).openapi("Prediction");

/** The shape of a prediction. */
export type PredictionBody = z.infer<typeof Prediction>;

/** An error. */
export const CogError = z.object({
  detail: z.union([
    z.string(),
    z.array(z.object({ loc: z.array(z.string()), msg: z.string(), type: z.string() })),
  ]),
}).openapi("CogError");
