import { InputError } from "../../engine/mod.ts";
import { isRecord } from "../config/check_value.ts";
import type { GenerateOptions } from "./options.ts";

/** First argument of a call: prompts, or all options. */
export type Request = string | readonly string[] | GenerateOptions;

/** Options of `call(prompt, options)` and of `call(options)`. @throws {InputError} They are given twice. */
export function optionsOf(first: Request, rest?: GenerateOptions): GenerateOptions {
  if (typeof first !== "string" && !Array.isArray(first)) {
    if (rest !== undefined) refuseTwice("objects with options");
    return first as GenerateOptions;
  }
  // what is not an object is refused with all other options later
  if (rest !== undefined && !isRecord(rest)) return rest;
  if (rest?.prompt !== undefined) refuseTwice("values of prompt");
  return { ...rest, prompt: first as string | readonly string[] };
}

/** For callers without a type checker, whose argument would be ignored. */
export function refuseTwice(name: string): never {
  throw new InputError("bad-value", `Cannot use two ${name}: give one`);
}
