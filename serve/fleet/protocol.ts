/**
 * What a front and its workers say to each other through a queue of BullMQ, and through the store that both know.
 *
 * A job of the queue is a {@link QueuedJob}. Its worker keeps `ID.safetensors` and `ID.png` in the store, in this order,
 * and returns an {@link Outcome}. Names follow from the job alone, so that a job that two workers make, because one of
 * them was thought dead, is one image.
 *
 * @module
 */

import type { Job, Made } from "../jobs/job.ts";
import { BitwiseError, InputError, isObject, receiveError, sendError } from "../../engine/mod.ts";
import { isWhole } from "../../model/config/check_value.ts";

/** The name of the queue, if no other is given. */
export const QUEUE = "bitwise";

/** What of a job is reported while it runs: nothing, the number of each scale, or also its image. */
export type Reporting = "nothing" | "scales" | "previews";

/** A job in the queue. Plain JSON. */
export interface QueuedJob {
  readonly job: Job;
  readonly reporting: Reporting;
  /** Whether nobody waits any longer, so that it is to end without an image. */
  readonly cancelled?: boolean;
}

/** What a worker returns: what of {@link Made} is not in the store, or that the job was cancelled. */
export type Outcome =
  | Pick<Made, "warnings" | "seconds" | "batch">
  | { readonly cancelled: true };

/** A scale that was sampled: progress of a job in the queue. */
export interface Report {
  readonly scale: number;
  readonly scales: number;
  /** A small PNG in base64. */
  readonly preview?: string;
}

/** The id of a job in the queue, which may not be a number. */
export const queueId = (id: string): string => `job-${id}`;
/** The id of a job by that in the queue. */
export const jobId = (id: string): string => id.replace(/^job-/, "");

/** The names of a job's image and bits in the store. */
export const namesOf = (id: string): { readonly png: string; readonly bits: string } => ({
  png: `${id}.png`,
  bits: `${id}.safetensors`,
});

/** The channel on which a worker hears of jobs that are no longer wanted. */
export const cancelChannel = (queue: string): string => `bitwise:${queue}:cancel`;
/** The key of the model's card. */
export const cardKey = (queue: string): string => `bitwise:${queue}:card`;

/** The most characters of a job's id: with the end of a file's name it is a name of a store. */
const MAX_ID = 180;
/** The most characters of a prompt. */
const MAX_PROMPT = 2 ** 20;

/** Checks what came through the queue, which anyone may have written. @throws {InputError} `bad-job` */
export function readQueued(data: unknown): QueuedJob {
  const { job, reporting = "nothing", cancelled } = isObject(data)
    ? data as Partial<QueuedJob>
    : {};
  const { id, prompt, seed, settings } = isObject(job) ? job as Partial<Job> : {};
  const refuse = (what: string): never => {
    throw new InputError("bad-job", `Cannot use a job of the queue: ${what}`);
  };
  if (typeof id !== "string" || !/^[\w-]+$/.test(id) || id.length > MAX_ID) {
    return refuse(`its id must have 1 to ${MAX_ID} letters, digits, - or _`);
  }
  if (typeof prompt !== "string" || prompt.length > MAX_PROMPT) return refuse("it has no prompt");
  if (typeof seed !== "string" || !/^\d{1,20}$/.test(seed)) return refuse("it has no seed");
  if (!isObject(settings) || Array.isArray(settings)) return refuse("it has no settings");
  return {
    job: { id, prompt, seed, settings: settings as Job["settings"] },
    reporting: reporting === "previews" || reporting === "scales" ? reporting : "nothing",
    cancelled: cancelled === true,
  };
}

/** Checks what a worker returned, which may be of another version. @throws {BitwiseError} `bad-outcome` */
export function readOutcome(data: unknown): Outcome {
  const { cancelled, warnings, seconds, batch } = isObject(data) ? data : {};
  if (cancelled === true) return { cancelled };
  const right = Array.isArray(warnings) && warnings.every((line) => typeof line === "string") &&
    typeof seconds === "number" && isWhole(batch, 1);
  if (right) return { warnings, seconds, batch };
  throw new BitwiseError(
    "bad-outcome",
    "Cannot use what a worker returned: use the same version of bitwise everywhere",
  );
}

/** The text of an error in the failed set, which people read and {@link failureOf} does. */
export function failureText(error: unknown): string {
  const { name, code, message } = sendError(error, "Cannot generate");
  return `${name} (${code}): ${message}`;
}

/** Makes an error again from its text; texts of BullMQ's own become errors of code `job-failed`. */
export function failureOf(text: string): Error {
  const [, name = "BitwiseError", code = "job-failed", message = `Cannot generate: ${text}`] =
    /^(\w+) \(([a-z\d]+(?:-[a-z\d]+)*)\): (.*)$/s.exec(text) ?? [];
  return receiveError({ name, code, message });
}
