import type { Given } from "../flags/generate_flags.ts";
import { UsageError } from "../flags/flags.ts";
import { readText } from "../io/input.ts";
import type { Io } from "../io/io.ts";

/**
 * Collects the prompts of a command: `--prompt`, the words after the flags, and each line of `--prompt-file`.
 *
 * @throws {UsageError} There is none, one is empty, or they contradict each other.
 * @throws {FileError} A file of prompts cannot be read.
 */
export async function readPrompts(
  given: Given,
  words: readonly string[],
  io: Io,
): Promise<string[]> {
  const texts = [...given.prompt ?? [], ...words.length ? [words.join(" ")] : []];
  const file = given["prompt-file"];
  if (given["text-features"] !== undefined) {
    if (texts.length === 0 && file === undefined) return [];
    throw new UsageError("Cannot use a prompt and --text-features together: give one of them");
  }
  if (given.prompt && words.length) {
    throw new UsageError(
      `Cannot use both --prompt and "${words[0]}": quote a prompt of several words`,
    );
  }
  if (file !== undefined && texts.length) {
    throw new UsageError("Cannot use --prompt-file and a prompt together: give one of them");
  }
  const prompts = file === undefined ? await expandAll(texts, io) : await readLines(file, io);
  if (prompts.length > 0 && prompts.every((prompt) => prompt.trim())) return prompts;
  throw new UsageError(
    'Cannot generate from an empty prompt: describe the image, such as "red apple"',
  );
}

/** The negative prompt, if there is one. */
export async function readNegativePrompt(given: Given, io: Io): Promise<string | undefined> {
  const { "negative-prompt": text, "negative-prompt-file": file } = given;
  if (file !== undefined) return await readText(file, io);
  return text === undefined ? undefined : await expand(text, io);
}

/** Reads a prompt per line; empty lines are skipped. */
async function readLines(file: string, io: Io): Promise<string[]> {
  return (await readText(file, io)).split(/\r?\n/).filter((line) => line.trim());
}

async function expandAll(texts: readonly string[], io: Io): Promise<string[]> {
  const prompts: string[] = [];
  for (const text of texts) prompts.push(await expand(text, io));
  return prompts;
}

/** What a text stands for: `-` is stdin, `@FILE` the text of a file, `@@…` a text that begins with `@`. */
async function expand(text: string, io: Io): Promise<string> {
  if (text === "-") return await readText("-", io);
  if (text.startsWith("@@")) return text.slice(1);
  return text.length > 1 && text.startsWith("@") ? await readText(text.slice(1), io) : text;
}
