/** Requests and answers of OpenAI's API for images, with what this server adds. */

import { z } from "../../../deps/hono.ts";
import {
  editingFields,
  outputFields,
  promptField,
  samplingFields,
  seedField,
} from "../base/fields.ts";

/** Fields of OpenAI's that change nothing here. */
const ignored = z.unknown().optional().describe("Accepted and ignored");

const common = {
  n: z.int().min(1).nullish().describe("Number of images, with consecutive seeds (1)"),
  size: z.string().nullish().describe(
    'WIDTHxHEIGHT in pixels, one of those in GET /v1/models, or "auto"',
  ),
  model: z.string().nullish().describe(
    "The loaded model's name, or any of OpenAI's names of image models, which stand for it",
  ),
  seed: seedField,
  response_format: z.enum(["b64_json", "url"]).nullish().describe(
    "Whether an image is in the answer or behind a URL that expires (b64_json)",
  ),
  ...outputFields,
  stream: z.boolean().nullish().describe("Answer with server-sent events"),
  partial_images: z.int().min(0).nullish().describe(
    "Number of partial images of each image in the stream, spread over its scales; all of them if absent",
  ),
  ...samplingFields,
  include_bits: z.boolean().nullish().describe(
    "Whether the answer has the bits of the images, to keep some scales of them later",
  ),
  user: ignored,
  quality: ignored,
  background: ignored,
  style: ignored,
  moderation: ignored,
};

/** `POST /v1/images/generations`. */
export const GenerationRequest = z.object({
  prompt: promptField,
  ...common,
  image: z.null({ error: "POST /v1/images/edits takes it" }).optional(),
  mask: z.null({ error: "POST /v1/images/edits takes it" }).optional(),
}).openapi("GenerationRequest");

const editing = {
  ...common,
  ...editingFields,
  image: z.union([
    z.string(),
    z.array(z.union([z.string(), z.object({ image_url: z.string() })])).length(1),
    z.object({ image_url: z.string() }),
  ], { error: "give one image" }).optional().describe(
    "A PNG, JPEG, WebP or bits file: in a form a file, in JSON base64 or a data URL",
  ),
  images: z.array(z.object({ image_url: z.string() })).length(1).optional().describe(
    "Another name of image, as OpenAI's JSON has it: a list of one",
  ),
  input_fidelity: ignored,
};

/** `POST /v1/images/edits`. */
export const EditRequest = z.object({
  prompt: promptField,
  ...editing,
  mask: z.union([z.string(), z.object({ image_url: z.string() })]).nullish().describe(
    "What may change, as an image of the same size: its transparent parts, or its white parts if it has none",
  ),
}).openapi("EditRequest");

/** `POST /v1/images/variations`. */
export const VariationRequest = z.object({
  prompt: promptField.optional().describe(
    "What the image shows; that of the PNG's parameters if absent",
  ),
  ...editing,
}).openapi("VariationRequest");

/** Fields of all three, as they are after they were checked. */
export type CommonFields = z.infer<z.ZodObject<typeof common>>;
/** Fields of edits and variations. */
export type EditFields = z.infer<typeof EditRequest>;

const Seed = z.union([z.number(), z.string()]).describe("A string above 2^53");

const made = {
  seed: Seed,
  parameters: z.string().describe("What reproduces the image, as web UIs write it to a PNG"),
  warnings: z.array(z.string()).describe("What was changed or ignored, one line each"),
  bits: z.string().optional().describe("The bits file in base64, if include_bits"),
};

const Usage = z.object({
  input_tokens: z.number().describe("0: tokens of the prompt are not counted"),
  output_tokens: z.number().describe("Tokens of all scales of all images"),
  total_tokens: z.number(),
  input_tokens_details: z.object({ image_tokens: z.number(), text_tokens: z.number() }),
});

const about = {
  size: z.string(),
  quality: z.string(),
  background: z.string(),
  output_format: z.string(),
};

/** The answer without `stream`. */
export const ImagesResponse = z.object({
  created: z.number().describe("Seconds since 1970"),
  ...about,
  data: z.array(z.object({
    b64_json: z.string().optional(),
    url: z.string().optional(),
    ...made,
  })),
  usage: Usage,
}).openapi("ImagesResponse");

const event = {
  created_at: z.number().describe("Seconds since 1970"),
  ...about,
  index: z.number().describe("Which of the n images, from 0"),
};

/** An event `image_generation.partial_image` or `image_edit.partial_image`. */
export const PartialImageEvent = z.object({
  type: z.enum(["image_generation.partial_image", "image_edit.partial_image"]),
  b64_json: z.string(),
  partial_image_index: z.number().describe("Counts the partial images of an image, from 0"),
  ...event,
  scale: z.number().describe("The scale that was drawn, from 0"),
  scales: z.number().describe("Number of scales"),
}).openapi("PartialImageEvent");

/** An event `image_generation.completed` or `image_edit.completed`. */
export const CompletedEvent = z.object({
  type: z.enum(["image_generation.completed", "image_edit.completed"]),
  b64_json: z.string().optional(),
  url: z.string().optional(),
  ...event,
  ...made,
  usage: Usage,
}).openapi("CompletedEvent");

/** An error of any route under /v1. */
export const ErrorResponse = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
}).openapi("ErrorResponse");

const perScale = z.union([z.number(), z.array(z.number())]);

/** A model, in OpenAI's shape and with what it can do. */
export const Model = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.number(),
  owned_by: z.string(),
  bitwise: z.object({
    sizes: z.array(z.object({
      width: z.number(),
      height: z.number(),
      schedule: z.array(z.tuple([z.number(), z.number()])).describe("Token grids [rows, columns]"),
    })).describe("The default one first"),
    defaults: z.object({ cfgScale: perScale, tau: perScale }),
    edits: z.boolean().describe("Whether it can edit images; bits it can always"),
    limits: z.object({ n: z.number(), prompt: z.number(), body: z.number() }).describe(
      "Images of a request, characters of a prompt, bytes of a body",
    ),
    urls: z.boolean().describe("Whether response_format may be url"),
    type: z.string().describe("Storage of its weights"),
    adapter: z.string().describe("What it runs on"),
  }),
}).openapi("Model");

/** The answer of `GET /v1/models`. */
export const ModelList = z.object({ object: z.literal("list"), data: z.array(Model) })
  .openapi("ModelList");
