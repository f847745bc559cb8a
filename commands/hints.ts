import { BitwiseError, printableMessage } from "../engine/mod.ts";

/** What to type, by the code of a hint. The library names no flags; this table does. */
export const HINTS: Readonly<Record<string, string | ((message: string) => string)>> = {
  "use-f16": "use --type f16",
  "use-f32": "use --type f32",
  "max-pixels": "or allow more with --max-pixels",
  "smaller-type": "choose it with --type",
  "use-wgpu": "that is --gpu wgpu",
  "allow-ffi": "run Deno with --allow-ffi",
  "allow-all": "run Deno with --allow-all",
  "allow-read": "run Deno with --allow-read",
  "allow-read-write": "run Deno with --allow-read and --allow-write",
  "allow-net": "run Deno with --allow-net",
  "choose-preset": "name it with --preset",
  "pull-model": (message) => `run bitwise pull ${/"([^"]+)"/.exec(message)?.[1] ?? "NAME"}`,
  "smaller-batch": "set them in CONFIG.json, or with --batch and --recompute of finetune",
  "skip-broken": "that is --skip-broken of finetune",
  "overwrite": "or replace it with --overwrite",
  "resume": "with --resume",
  "any-config": "with --any-config",
  "encode-image": "make one with bitwise encode",
  "tune-again": "measure again with deno task bench --tune",
};

/** Returns an error's message in one line, followed by the advice that its hint stands for. */
export function adviseOn(error: unknown): string {
  const message = printableMessage(error instanceof Error ? error.message : String(error));
  const { hint } = error instanceof BitwiseError ? error : {};
  if (hint === undefined || !Object.hasOwn(HINTS, hint)) return message;
  const advice = HINTS[hint]!;
  return `${message}; ${typeof advice === "string" ? advice : advice(message)}`;
}
