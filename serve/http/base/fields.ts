/** Fields that several APIs share, and how values are checked. The schemas are also what the OpenAPI document says. */

import { z } from "../../../deps/hono.ts";
import { RequestError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** The most values of a list with one for each scale. */
const MOST_SCALES = 64;
/** The largest seed. */
export const MAX_SEED: bigint = 2n ** 64n - 1n;

const perScale = (least: number, most: number, what: string) =>
  z.union(
    [
      z.number().min(least).max(most),
      z.array(z.number().min(least).max(most)).min(1).max(MOST_SCALES),
    ],
    { error: `give a number from ${least} to ${most}, or a list with one for each scale` },
  ).nullish().describe(what);

/** Text of a prompt. */
export const promptField = z.string().min(1).describe(
  `What the image shows, at most ${LIMITS.promptLength} characters unless the server says otherwise`,
);

/** The seed, which is drawn if it is absent or −1. */
export const seedField = z.union(
  [z.int().min(-1), z.string().regex(/^(-1|\d{1,20})$/)],
  { error: "give a whole number from 0 to 2^64 − 1, in quotes above 2^53, or -1 for a random one" },
).nullish().describe(
  "The seed of the first image; the next ones have the next seeds. Absent, null or -1: a random one",
);

/** How an image is sampled. */
export const samplingFields = {
  negative_prompt: z.string().nullish().describe("What guidance leads away from"),
  cfg_scale: perScale(
    0,
    1000,
    "Guidance, one value or one for each scale; the model's own if absent",
  ),
  cfg_until: z.int().min(0).max(MOST_SCALES).nullish().describe(
    "Number of scales that are guided, counted from the first; all if absent",
  ),
  tau: perScale(0, 1000, "Temperature, one value or one for each scale; the model's own if absent"),
  top_k: z.int().min(0).max(2 ** 20).nullish().describe(
    "1 takes the likelier value of each bit; others change nothing",
  ),
  top_p: z.number().min(0).max(1).nullish().describe(
    "Excludes the less likely value of a bit where its probability is at most 1 − top_p",
  ),
  greedy: z.boolean().nullish().describe("Takes the likeliest bit, without randomness"),
};

/** What of an image is drawn again. */
export const editingFields = {
  strength: z.number().min(0).max(1).nullish().describe(
    "Share of the scales to draw again, counted from the last",
  ),
  keep_scales: z.int().min(0).max(MOST_SCALES).nullish().describe(
    "Number of scales to keep, counted from the first, in place of strength",
  ),
};

/** How a file is written. */
export const outputFields = {
  output_format: z.enum(["png", "jpeg", "webp"]).nullish().describe(
    "Format of the image; a PNG carries its parameters (png)",
  ),
  output_compression: z.int().min(0).max(100).nullish().describe(
    "Quality of a JPEG or WebP in percent (90)",
  ),
};

/** A schema of an object. */
export type ObjectSchema = z.ZodObject<z.ZodRawShape>;

/** Checks a value. @throws {RequestError} It does not fit. */
export function parse<Schema extends ObjectSchema>(
  schema: Schema,
  value: unknown,
): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as z.infer<Schema>;
  const [issue] = parsed.error.issues;
  const path = issue?.path.join(".") ?? "";
  const why = plain(issue?.message ?? "it is wrong");
  throw path
    ? badField(path, why)
    : new RequestError(400, "bad-value", `Cannot use the request: ${why}`);
}

/** The error of a field. */
export function badField(param: string, why: string, code = "bad-value"): RequestError {
  return new RequestError(400, code, `Cannot use ${param}: ${why}`, { param });
}

/** Zod's message, as part of a sentence. */
function plain(message: string): string {
  const text = message.replace(/^Invalid (input|option): /, "");
  return text.charAt(0).toLowerCase() + text.slice(1);
}
